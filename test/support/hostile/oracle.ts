/** What is right for an answer to a hostile request, and what is not. */
import type { DescMethod } from '@bufbuild/protobuf';
import { Code, type Reason } from '../../../lib/errors/index.js';
import { descriptors } from '../../../lib/rpc/descriptors.js';
import { reasonsOf } from '../../../src/openapi/operation-errors.js';
import { readOperations } from '../../../src/openapi/operations.js';
import { faultOf, type Outcome } from './outcome.js';
import { type Filled, illegalFields, namesOfViolations } from './packed.js';
import { shortName } from './targets.js';
import { nameOf } from './wire.js';

/** What says that a request, or what it asks for, was at fault. Others say that something of ours was. */
const NO_FAULT_OF_CALLER: ReadonlySet<string> = new Set<Reason>([
  ...([
    'INTERNAL',
    'CANCELLED',
    'SHUTTING_DOWN',
    'DATABASE_UNAVAILABLE',
    'HOST_UNAVAILABLE',
  ] as const),
  ...([
    'GUEST_UNREACHABLE',
    'OVERLOADED',
    'SANDBOX_CONFLICT',

    'VMM_FAILED',
  ] as const),
]);

const AGENT_ID_LENGTH_MIN = 8;

/** Texts of any form that mean something to the service alone. */
const OPAQUE = new Set(['page_token']);

const HTTP_STATUSES: Partial<Record<Code, number[]>> = {
  [Code.OK]: [200, 204],
  [Code.INVALID_ARGUMENT]: [400, 431],
  [Code.NOT_FOUND]: [404],
  [Code.ALREADY_EXISTS]: [409],
  [Code.PERMISSION_DENIED]: [403],
  [Code.RESOURCE_EXHAUSTED]: [429, 413, 507],
  [Code.FAILED_PRECONDITION]: [400],
  [Code.OUT_OF_RANGE]: [400],
  [Code.UNAUTHENTICATED]: [401],
};

const operations = readOperations(descriptors().registry, 'wrenn.v1');

/** What is wrong with the answer to a request that holds these texts; undefined when nothing is. */
export function problemOf(
  method: DescMethod,
  filled: readonly Filled[],
  outcome: Outcome,
): string | undefined {
  const fault = commonFault(outcome);
  if (fault !== undefined) return fault;
  const illegal = illegalFields(filled);
  const { code, reason } = outcome;
  if (illegal.length === 0) {
    return mayAnswer(method, filled, outcome)
      ? undefined
      : `${Code[code]} ${reason} for legal text: ${outcome.message}`;
  }
  if (code !== Code.INVALID_ARGUMENT || reason !== 'INVALID_REQUEST')
    return `${Code[code]} ${reason} for illegal text`;
  const named = namesOfViolations(outcome.fields);
  const isSame =
    named.length === illegal.length && named.every((name, index) => name === illegal[index]);
  return isSame ? undefined : `names ${named.join()} where ${illegal.join()} are illegal`;
}

/** What is wrong with any answer. */
export function commonFault(outcome: Outcome): string | undefined {
  const fault = faultOf(outcome);
  if (fault !== undefined) return fault;
  const { code, httpStatus } = outcome;
  const isRightStatus = httpStatus === 0 || HTTP_STATUSES[code]?.includes(httpStatus);
  return isRightStatus ? undefined : `HTTP status ${httpStatus} for ${Code[code]}`;
}

/** What is wrong with the answer to what is no valid request at all. */
export function refusalProblem(outcome: Outcome, ...reasons: Reason[]): string | undefined {
  const fault = commonFault(outcome);
  if (fault !== undefined) return fault;
  const { code, reason } = outcome;
  const isRefusal = code === Code.INVALID_ARGUMENT && reasons.includes(reason as Reason);
  return isRefusal ? undefined : `${Code[code]} ${reason}`;
}

/** Whether a method may answer a legal request so: well, or with an error that its documentation names. */
export function mayAnswer(
  method: DescMethod,
  filled: readonly Filled[],
  { code, reason }: Outcome,
): boolean {
  if (code === Code.OK) return true;
  if (reason === 'INVALID_REQUEST') return filled.some((each) => mayBeRefused(method, each));
  if (NO_FAULT_OF_CALLER.has(reason)) return false;
  // An agent's own methods are not documented.
  const found = operations.filter(({ name }) => name === shortName(method));
  return (
    found.length === 0 || found.some((operation) => reasonsOf(operation).includes(reason as Reason))
  );
}

/** A stream in both directions is refused when its first message is not one that begins it. */
export function mayRefuseAny(method: DescMethod, { code, reason }: Outcome): boolean {
  const isRefusal = code === Code.INVALID_ARGUMENT && reason === 'INVALID_REQUEST';
  return method.methodKind === 'bidi_streaming' && isRefusal;
}

/** Rules let some texts through that the service itself refuses. */
function mayBeRefused(method: DescMethod, { path, text }: Filled): boolean {
  // Ids that an agent takes are longer than those of which the API has heard.
  const isOfAgent = method.parent.name === 'HostAgentService';
  if (isOfAgent && nameOf(path) === 'sandbox_id' && text.length < AGENT_ID_LENGTH_MIN) return true;
  const isStream =
    method.methodKind === 'client_streaming' || method.methodKind === 'bidi_streaming';
  return OPAQUE.has(nameOf(path)) || (isStream && text === '');
}
