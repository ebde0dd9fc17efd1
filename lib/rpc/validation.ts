/** Checks encoded requests against the buf.validate rules that stand in the protos. */
import { fromBinary } from '@bufbuild/protobuf';
import { pathToString } from '@bufbuild/protobuf/reflect';
import { createValidator, type Violation } from '@bufbuild/protovalidate';
import { Code, WrennError } from '../errors/index.js';
import { descriptors } from './descriptors.js';
import { splitPath } from './method.js';

/**
 * Makes the check for `serve`.
 * @returns a function that throws INVALID_ARGUMENT naming every field that breaks a rule.
 */
export function createRequestCheck(): (path: string, request: Uint8Array) => void {
  const { registry } = descriptors();
  const validator = createValidator({ registry });
  return (path, request) => {
    const { service, method } = splitPath(path);
    const descriptor = registry.getService(service)?.methods.find(({ name }) => name === method);
    if (!descriptor) throw new Error(`no descriptor for ${path}`);
    const result = validator.validate(descriptor.input, parse(descriptor.input, request));
    if (result.kind === 'valid') return;
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

function invalid(found: readonly Violation[]): WrennError {
  const violations = found.map((violation) => ({
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
