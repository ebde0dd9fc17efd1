/**
 * The little of a DNS message (RFC 1035, 4.1) that a relay must understand:
 *
 *     0  id          2  flags       4  number of questions
 *     6, 8, 10  numbers of records  12  question: name, type, class
 *
 * Everything else passes as it is.
 */

/** A question, with all that extensions add to it, is far smaller. */
export const QUERY_BYTES_MAX = 4_096;

const HEADER_BYTES = 12;
const LABEL_BYTES_MAX = 63;
const NAME_BYTES_MAX = 255;
/** Type and class behind the name. */
const QUESTION_TAIL_BYTES = 4;

const FLAG_RESPONSE = 0x8000;
const FLAG_RECURSION_DESIRED = 0x0100;
const FLAG_RECURSION_AVAILABLE = 0x0080;
const MASK_OPCODE = 0x7800;
const MASK_RCODE = 0x000f;

export const Rcode = {
  NOERROR: 0,
  SERVFAIL: 2,
  NXDOMAIN: 3,
  NOTIMP: 4,
  REFUSED: 5,
} as const;

export interface DnsQuery {
  message: Buffer;
  id: number;
  /** Where the question ends. */
  questionEnd: number;
  /** Whether it is a plain question, and not an update, a notification or the like. */
  standard: boolean;
}

/** Reads a query with exactly one question; undefined for anything else, also for an answer. */
export function parseQuery(message: Buffer): DnsQuery | undefined {
  if (message.length < HEADER_BYTES) return undefined;
  const flags = message.readUInt16BE(2);
  if (flags & FLAG_RESPONSE || message.readUInt16BE(4) !== 1) return undefined;
  const questionEnd = endOfQuestion(message);
  if (questionEnd === undefined) return undefined;
  return {
    message,
    id: message.readUInt16BE(0),
    questionEnd,
    standard: (flags & MASK_OPCODE) === 0,
  };
}

/** Whether `message` answers a query that was sent under `id`. */
export function isAnswer(message: Buffer, query: DnsQuery, id: number): boolean {
  if (message.length < HEADER_BYTES || message.readUInt16BE(0) !== id) return false;
  if (!(message.readUInt16BE(2) & FLAG_RESPONSE)) return false;
  const questionCount = message.readUInt16BE(4);
  // Some servers leave the question out of an error.
  if (questionCount === 0) return rcodeOf(message) !== Rcode.NOERROR;
  return questionCount === 1 && sameQuestion(message, query);
}

export function rcodeOf(message: Buffer): number {
  return message.readUInt16BE(2) & MASK_RCODE;
}

/** A copy of the message under another id. */
export function withId(message: Buffer, id: number): Buffer {
  const copy = Buffer.from(message);
  copy.writeUInt16BE(id, 0);
  return copy;
}

/** An answer without records that says why there are none. */
export function errorAnswer(query: DnsQuery, rcode: number): Buffer {
  const answer = Buffer.alloc(query.questionEnd);
  query.message.copy(answer, HEADER_BYTES, HEADER_BYTES, query.questionEnd);
  const flags = query.message.readUInt16BE(2) & (MASK_OPCODE | FLAG_RECURSION_DESIRED);
  answer.writeUInt16BE(query.id, 0);
  answer.writeUInt16BE(flags | FLAG_RESPONSE | FLAG_RECURSION_AVAILABLE | rcode, 2);
  answer.writeUInt16BE(1, 4);
  return answer;
}

function sameQuestion(message: Buffer, query: DnsQuery): boolean {
  const expected = query.message.subarray(HEADER_BYTES, query.questionEnd);
  return message.subarray(HEADER_BYTES, query.questionEnd).equals(expected);
}

function endOfQuestion(message: Buffer): number | undefined {
  let offset = HEADER_BYTES;
  for (;;) {
    const length = message[offset];
    if (length === undefined || length > LABEL_BYTES_MAX) return undefined;
    offset += 1 + length;
    if (length === 0) break;
  }
  if (offset - HEADER_BYTES > NAME_BYTES_MAX) return undefined;
  const end = offset + QUESTION_TAIL_BYTES;
  return end <= message.length ? end : undefined;
}
