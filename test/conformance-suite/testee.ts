/**
 * The program that the protobuf conformance suite tests: it reads requests from
 * standard input and answers on standard output, each with its length in front.
 * JSON goes through the gateway's codec, in the default mode of the mapping.
 *
 *     testee.ts DESCRIPTOR_SET
 */
import { readFileSync, readSync, writeSync } from 'node:fs';
import {
  create,
  createFileRegistry,
  type DescMessage,
  fromBinary,
  type Message,
  type Registry,
  toBinary,
} from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { mergeJson, messageToJson, withoutExtensions } from '../../src/gateway/json-message.js';
import { parseJsonText } from '../../src/gateway/json-text.js';

/** The suite's requests are a few KiB, but for tests of performance, which are not run. */
const REQUEST_BYTES_MAX = 16 * 1024 * 1024;
const LENGTH_BYTES = 4;
const STANDARD_INPUT = 0;
const STANDARD_OUTPUT = 1;

/** Numbers of conformance.WireFormat that this program can answer in. */
const PROTOBUF = 1;
const JSON_TEXT = 2;

/** What is looked at of conformance.ConformanceRequest. */
interface Request {
  payload:
    | { case: 'protobufPayload'; value: Uint8Array }
    | { case: 'jsonPayload'; value: string }
    | { case: 'jspbPayload' | 'textPayload'; value: string }
    | { case: undefined };
  requestedOutputFormat: number;
  messageType: string;
}

/** The `result` of conformance.ConformanceResponse. */
type Result =
  | { case: 'protobufPayload'; value: Uint8Array }
  | { case: 'jsonPayload' | 'parseError' | 'serializeError' | 'skipped'; value: string };

interface Suite {
  request: DescMessage;
  response: DescMessage;
  /** All messages that the suite and its requests name. */
  messages: Registry;
}

serve(readSuite(process.argv[2] ?? ''));

function readSuite(path: string): Suite {
  const files = createFileRegistry(fromBinary(FileDescriptorSetSchema, readFileSync(path)));
  return {
    request: messageOf(files, 'conformance.ConformanceRequest'),
    response: messageOf(files, 'conformance.ConformanceResponse'),
    messages: withoutExtensions(files),
  };
}

function serve(suite: Suite): void {
  for (let bytes = readFrame(); bytes; bytes = readFrame()) {
    const request = fromBinary(suite.request, bytes) as Message & Request;
    const response = create(suite.response, { result: answer(suite, request) });
    writeFrame(toBinary(suite.response, response));
  }
}

function answer({ messages }: Suite, request: Request): Result {
  const { payload, requestedOutputFormat } = request;
  if (requestedOutputFormat !== PROTOBUF && requestedOutputFormat !== JSON_TEXT) {
    return { case: 'skipped', value: 'the codec does not write this format' };
  }
  const descriptor = messageOf(messages, request.messageType);
  let message: Message;
  try {
    if (payload.case === 'protobufPayload') message = fromBinary(descriptor, payload.value);
    else if (payload.case === 'jsonPayload')
      message = readJson(descriptor, payload.value, messages);
    else return { case: 'skipped', value: 'the codec does not read this format' };
  } catch (error) {
    return { case: 'parseError', value: String(error) };
  }
  try {
    const bytes = toBinary(descriptor, message);
    if (requestedOutputFormat === PROTOBUF) return { case: 'protobufPayload', value: bytes };
    const json = messageToJson(descriptor, bytes, messages);
    return { case: 'jsonPayload', value: JSON.stringify(json) };
  } catch (error) {
    return { case: 'serializeError', value: String(error) };
  }
}

/** As the gateway reads a body. */
function readJson(descriptor: DescMessage, text: string, registry: Registry): Message {
  const message = create(descriptor);
  const json = parseJsonText(Buffer.from(text));
  mergeJson(descriptor, message, json, { registry, reason: 'INVALID_JSON' });
  return message;
}

function messageOf(registry: Registry, typeName: string): DescMessage {
  const descriptor = registry.getMessage(typeName);
  if (!descriptor) throw new Error(`the descriptor set lacks ${typeName}`);
  return descriptor;
}

/** The next request, or undefined when the suite has ended. */
function readFrame(): Buffer | undefined {
  const prefix = readExactly(LENGTH_BYTES);
  if (!prefix) return undefined;
  const length = prefix.readUInt32LE();
  if (length > REQUEST_BYTES_MAX) throw new Error(`a request of ${length} bytes`);
  const bytes = readExactly(length);
  if (!bytes) throw new Error('the input ended inside a request');
  return bytes;
}

/** Undefined when the input ends before the first byte. */
function readExactly(length: number): Buffer | undefined {
  const bytes = Buffer.alloc(length);
  let filled = 0;
  while (filled < length) {
    const count = readSync(STANDARD_INPUT, bytes, filled, length - filled, null);
    if (count === 0 && filled === 0) return undefined;
    if (count === 0) throw new Error('the input ended inside a frame');
    filled += count;
  }
  return bytes;
}

function writeFrame(bytes: Uint8Array): void {
  const prefix = Buffer.alloc(LENGTH_BYTES);
  prefix.writeUInt32LE(bytes.length);
  const frame = Buffer.concat([prefix, bytes]);
  for (let written = 0; written < frame.length; ) {
    written += writeSync(STANDARD_OUTPUT, frame, written);
  }
}
