/** DNS messages for tests: questions for A records, and answers to them. */

const TYPE_A = 1;
const CLASS_IN = 1;
const FLAGS_QUESTION = 0x0100;
const FLAGS_ANSWER = 0x8180;
const TTL_SEC = 60;
/** Points to the name in the question. */
const NAME_POINTER = 0xc00c;

export function questionFor(name: string, id = 0x1234): Buffer {
  const labels = name.split('.').map((label) => {
    return Buffer.concat([Buffer.from([label.length]), Buffer.from(label)]);
  });
  const tail = Buffer.from([0, 0, TYPE_A, 0, CLASS_IN]);
  return Buffer.concat([header(id, FLAGS_QUESTION, 0), ...labels, tail]);
}

/** An answer with one address, or with none and an error code. */
export function answerTo(question: Buffer, address: string, rcode = 0): Buffer {
  const count = rcode === 0 ? 1 : 0;
  const head = header(question.readUInt16BE(0), FLAGS_ANSWER | rcode, count);
  const record = Buffer.alloc(16);
  record.writeUInt16BE(NAME_POINTER, 0);
  record.writeUInt16BE(TYPE_A, 2);
  record.writeUInt16BE(CLASS_IN, 4);
  record.writeUInt32BE(TTL_SEC, 6);
  record.writeUInt16BE(4, 10);
  Buffer.from(address.split('.').map(Number)).copy(record, 12);
  return Buffer.concat([head, question.subarray(12), ...(count ? [record] : [])]);
}

/** The address in an answer of `answerTo`. */
export function addressIn(answer: Buffer): string {
  return [...answer.subarray(-4)].join('.');
}

export function nameIn(question: Buffer): string {
  const labels: string[] = [];
  for (let offset = 12, length = question[12] ?? 0; length > 0; length = question[offset] ?? 0) {
    labels.push(question.subarray(offset + 1, offset + 1 + length).toString());
    offset += 1 + length;
  }
  return labels.join('.');
}

function header(id: number, flags: number, answerCount: number): Buffer {
  const bytes = Buffer.alloc(12);
  bytes.writeUInt16BE(id, 0);
  bytes.writeUInt16BE(flags, 2);
  bytes.writeUInt16BE(1, 4);
  bytes.writeUInt16BE(answerCount, 6);
  return bytes;
}
