/**
 * multipart/form-data, part by part, as it arrives. A part must be read before
 * the next one comes; what nobody reads holds the client back. No part touches
 * the disk.
 */
import type { EventEmitter } from 'node:events';
import type { IncomingHttpHeaders } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Busboy, type BusboyHeaders, type BusboyInstance } from '@fastify/busboy';
import { Code, WrennError } from '../../lib/errors/index.js';
import { PARAMETERS_MAX } from './limits.js';

/** One part of a form. */
export interface FormPart {
  name: string;
  contentType: string;
  content: AsyncIterable<Buffer>;
}

interface ArrivedPart {
  name: string | undefined;
  contentType: string;
  encoding: string;
  content: Readable;
}

const PART_HEADER_BYTES_MAX = 4096;
const PART_HEADER_PAIRS_MAX = 16;
const PLAIN_ENCODINGS = new Set(['7bit', '8bit', 'binary']);

export class FormReader {
  readonly #arrived = new Readable({ objectMode: true, read: () => undefined });
  readonly #parts: AsyncIterator<ArrivedPart>;
  readonly #unread = new Set<Readable>();
  readonly #closing = new AbortController();

  /** @throws WrennError when the headers name no boundary. */
  constructor(headers: IncomingHttpHeaders, chunks: AsyncIterable<Buffer>) {
    // Whoever asks for the next part is told; without a listener it would end the process.
    this.#arrived.on('error', () => undefined);
    this.#parts = this.#arrived[Symbol.asyncIterator]() as AsyncIterator<ArrivedPart>;
    const parser = this.#createParser(headers);
    const { signal } = this.#closing;
    pipeline(chunks, parser, { signal }).then(
      () => this.#arrived.push(null),
      (cause: unknown) => this.#fail(cause),
    );
  }

  /** The next part, or undefined after the last one; throws INVALID_ARGUMENT for a malformed form. */
  async next(): Promise<FormPart | undefined> {
    const { done, value } = await this.#parts.next();
    if (done) return undefined;
    const { name, contentType, encoding, content } = value;
    if (!name) throw invalidForm('', 'a part of the form has no name');
    if (!PLAIN_ENCODINGS.has(encoding)) {
      throw invalidForm(name, 'send the part as it is, not encoded');
    }
    return { name, contentType, content: chunksOf(content) };
  }

  /** Stops reading the body; does nothing when all of it has been read. */
  close(): void {
    this.#closing.abort();
  }

  #createParser(headers: IncomingHttpHeaders): BusboyInstance {
    const parser = newParser(headers);
    parser.on('file', (name: string | undefined, content, _filename, encoding, contentType) => {
      this.#unread.add(content);
      content.once('close', () => this.#unread.delete(content));
      content.on('error', () => undefined);
      this.#arrived.push({ name, contentType, encoding, content });
    });
    this.#refuseSkippedParts(parser);
    parser.on('partsLimit', () => {
      this.#fail(invalidForm('', `the form holds more than ${PARAMETERS_MAX} parts`));
    });
    return parser;
  }

  /**
   * The parser passes over a part whose header it does not like, in silence: a
   * file of which nobody hears would be taken for an empty one.
   */
  #refuseSkippedParts(parser: BusboyInstance): void {
    let told = 0;
    let begun = 0;
    parser.on('file', () => {
      told += 1;
    });
    const { parser: reader } = (parser as unknown as { _parser: { parser: EventEmitter } })._parser;
    reader.on('part', (part: EventEmitter) => {
      // Behind the parser's own listener, which tells of the part before it returns.
      part.on('header', () => {
        begun += 1;
        if (told < begun) this.#fail(invalidForm('', 'the header of a part is malformed'));
      });
    });
  }

  /** Whoever reads a part, and whoever asks for the next one, learns of it. */
  #fail(cause: unknown): void {
    const error = toFormError(cause);
    for (const content of this.#unread) content.destroy(error);
    this.#arrived.destroy(error);
    this.close();
  }
}

/** The refusal of a form, or of one of its parts. */
export function invalidForm(field: string, description: string, cause?: unknown): WrennError {
  return new WrennError(
    Code.INVALID_ARGUMENT,
    'INVALID_REQUEST',
    field === '' ? description : `${field}: ${description}`,
    { violations: field === '' ? [] : [{ field, description, rule: 'form' }], cause },
  );
}

/** The text of a part, strictly UTF-8. */
export function decodePart(name: string, content: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(content);
  } catch (cause) {
    throw invalidForm(name, 'the part is not UTF-8', cause);
  }
}

function newParser(headers: IncomingHttpHeaders): BusboyInstance {
  try {
    return new Busboy({
      headers: headers as BusboyHeaders,
      // Every part is read as bytes; its field says what they mean.
      isPartAFile: () => true,
      limits: {
        parts: PARAMETERS_MAX,
        headerSize: PART_HEADER_BYTES_MAX,
        headerPairs: PART_HEADER_PAIRS_MAX,
      },
    });
  } catch (cause) {
    throw invalidForm('', 'the form has no boundary', cause);
  }
}

/** A part that is cut says so itself, before its form does. */
async function* chunksOf(content: Readable): AsyncGenerator<Buffer> {
  try {
    yield* content as AsyncIterable<Buffer>;
  } catch (cause) {
    throw toFormError(cause);
  }
}

/** What the parser itself throws is no WrennError, and carries no system error code. */
function toFormError(cause: unknown): Error {
  if (cause instanceof WrennError) return cause;
  if ((cause as NodeJS.ErrnoException).code !== undefined) return cause as Error;
  return invalidForm('', 'the form is malformed', cause);
}
