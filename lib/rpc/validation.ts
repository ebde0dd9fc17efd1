/** Checks encoded requests against the buf.validate rules that stand in the protos. */
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { pathToString } from '@bufbuild/protobuf/reflect';
import { createValidator, type Violation } from '@bufbuild/protovalidate';
import { Code, WrennError } from '../errors/index.js';
import { descriptors } from './descriptors.js';
import { splitPath } from './method.js';

/** Most violations that an error names. */
export const VIOLATIONS_MAX = 16;

/**
 * Makes the check for `serve`.
 * @returns a function that throws INVALID_ARGUMENT naming the fields that break a
 * rule, and returns the request as it was checked, encoded anew. Bytes may mean
 * different things to two readers: one joins a message that stands twice, another
 * keeps the last. So nobody reads the bytes of the caller but the check.
 */
export function createRequestCheck(): (path: string, request: Uint8Array) => Buffer {
  const { registry } = descriptors();
  const validator = createValidator({ registry });
  return (path, request) => {
    const { service, method } = splitPath(path);
    const descriptor = registry.getService(service)?.methods.find(({ name }) => name === method);
    if (!descriptor) throw new Error(`no descriptor for ${path}`);
    const message = parse(descriptor.input, request);
    const result = validator.validate(descriptor.input, message);
    if (result.kind === 'valid') return encode(descriptor.input, message);
    if (result.kind === 'error') throw result.error;
    throw invalid(result.violations);
  };
}

function parse(input: Parameters<typeof fromBinary>[0], request: Uint8Array) {
  try {
    return fromBinary(input, request);
  } catch (cause) {
    throw new WrennError(
      Code.INVALID_ARGUMENT,
      'INVALID_REQUEST',
      'the request is not a valid message',
      { cause },
    );
  }
}

function encode(...[input, message]: Parameters<typeof toBinary>): Buffer {
  const { buffer, byteOffset, byteLength } = toBinary(input, message, {
    writeUnknownFields: false,
  });
  return Buffer.from(buffer, byteOffset, byteLength);
}

function invalid(found: readonly Violation[]): WrennError {
  const violations = found.slice(0, VIOLATIONS_MAX).map((violation) => ({
    field: pathToString(violation.field),
    description: violation.message,
    rule: violation.ruleId,
  }));
  const summary = violations.map(({ field, description }) => `${field}: ${description}`).join('; ');
  return new WrennError(
    Code.INVALID_ARGUMENT,
    'INVALID_REQUEST',
    `the request is not valid: ${summary}`,
    {
      violations,
    },
  );
}
