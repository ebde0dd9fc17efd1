/** How a fake guest becomes a sandbox: the steps of PostInit and PostRestore, as envd does them. */
import type {
  PostInitRequest,
  PostInitResponse_Step,
  PostRestoreRequest,
} from '../../../gen/ts/wrenn/envd/v1/guest.js';
import { Code, WrennError } from '../../../lib/errors/index.js';
import { ENTROPY_BYTES_MIN, MACHINE_ID } from '../../../lib/guest/contract.js';

export const MACHINE_ID_PATH = '/etc/machine-id';

/** What a sandbox is called, and the variables of its programs. */
export interface FakeGuestState {
  hostname: string;
  env: Record<string, string>;
}

export interface FakeGuest {
  state: FakeGuestState;
  setToken(token: string): void;
  writeFile(path: string, content: Buffer): Promise<void>;
}

type Steps = [name: string, run: () => void | Promise<void>][];

export function initialize(guest: FakeGuest, identity: PostInitRequest) {
  return runSteps([
    ...clockSteps(guest, identity),
    hostnameStep(guest, identity),
    environmentStep(guest, identity),
    ...metadataSteps(guest, identity),
  ]);
}

/** @throws WrennError INVALID_ARGUMENT for a request without what it needs. */
export function restore(guest: FakeGuest, request: PostRestoreRequest) {
  const { identity, clone, keepEnv, machineId, entropy } = request;
  if (!identity || entropy.length < ENTROPY_BYTES_MIN || (clone && !MACHINE_ID.test(machineId))) {
    throw new WrennError(Code.INVALID_ARGUMENT, 'INVALID_REQUEST', 'a part is missing');
  }
  const machineIdFile = () => guest.writeFile(MACHINE_ID_PATH, Buffer.from(`${machineId}\n`));
  return runSteps([
    ...clockSteps(guest, identity),
    ['entropy', () => undefined],
    ...(clone ? ([['machine_id', machineIdFile], hostnameStep(guest, identity)] as Steps) : []),
    ...(keepEnv ? [] : [environmentStep(guest, identity)]),
    ...metadataSteps(guest, identity),
  ]);
}

/** Token and clock come first; a fake guest has the host's clock. */
function clockSteps(guest: FakeGuest, { token }: PostInitRequest): Steps {
  return [
    ['token', () => guest.setToken(token)],
    ['wall_clock', () => undefined],
  ];
}

function hostnameStep({ state }: FakeGuest, { sandboxId }: PostInitRequest): Steps[number] {
  const setHostname = () => {
    state.hostname = sandboxId;
  };
  return ['hostname', setHostname];
}

function environmentStep({ state }: FakeGuest, { env }: PostInitRequest): Steps[number] {
  const setEnvironment = () => {
    state.env = env;
  };
  return ['environment', setEnvironment];
}

function metadataSteps(guest: FakeGuest, { templateId, sandboxId }: PostInitRequest): Steps {
  const write = (name: string, content: string) => () =>
    guest.writeFile(`/run/wrenn/${name}`, Buffer.from(content));
  return [
    ['template_id', write('.WRENN_TEMPLATE_ID', templateId)],
    ['sandbox_id', write('.WRENN_SANDBOX', sandboxId)],
  ];
}

async function runSteps(steps: Steps): Promise<{ steps: PostInitResponse_Step[] }> {
  for (const [, run] of steps) await run();
  return { steps: steps.map(([name]) => ({ name, durationMs: 0, error: '' })) };
}
