/** GuestService: tells that the daemon runs, and makes the guest a sandbox. */
import type {
  GuestServiceService,
  PostInitRequest,
  PostInitResponse,
  PostRestoreRequest,
  PostRestoreResponse,
} from '../../gen/ts/wrenn/envd/v1/guest.js';
import { Code, WrennError } from '../../lib/errors/index.js';
import { ENTROPY_BYTES_MAX, ENTROPY_BYTES_MIN, MACHINE_ID } from '../../lib/guest/contract.js';
import type { CallContext } from '../../lib/rpc/call-context.js';
import type { Handlers } from '../../lib/rpc/service.js';
import { checkToken } from '../auth.js';
import type { Connections } from '../connections.js';
import { ENVD_VERSION } from '../version.js';
import { becomeSandbox, type Guest } from './become-sandbox.js';

const HOSTNAME = /^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$/;

export interface ConnectedGuest extends Guest {
  connections: Connections;
}

export function guestHandlers(
  guest: ConnectedGuest,
): Handlers<typeof GuestServiceService, undefined> {
  return {
    async getHealth() {
      return { version: ENVD_VERSION, initialized: guest.tokens.initialized };
    },
    postInit: (context, request) => postInit(guest, context, request),
    postRestore: (context, request) => postRestore(guest, context, request),
  };
}

async function postInit(
  guest: ConnectedGuest,
  context: CallContext,
  identity: PostInitRequest,
): Promise<PostInitResponse> {
  const receivedAtNs = process.hrtime.bigint();
  checkIdentity(identity);
  // Again, now that nothing is awaited between the check and the new token.
  guest.tokens.requireTokenOrNone(context.metadata);
  const steps = await becomeSandbox(guest, {
    identity,
    receivedAtNs,
    entropy: undefined,
    machineId: undefined,
    setsHostname: true,
    setsEnvironment: true,
  });
  return { steps };
}

async function postRestore(
  guest: ConnectedGuest,
  context: CallContext,
  { identity, keepEnv, entropy, clone, machineId }: PostRestoreRequest,
): Promise<PostRestoreResponse> {
  const receivedAtNs = process.hrtime.bigint();
  checkIdentity(identity);
  checkEntropy(entropy);
  if (clone) checkMachineId(machineId);
  guest.tokens.requireTokenOrNone(context.metadata);
  guest.connections.closeOthers(context.peer);
  const steps = await becomeSandbox(guest, {
    identity,
    receivedAtNs,
    entropy,
    machineId: clone ? machineId : undefined,
    // The one that was paused keeps the name that it had given itself.
    setsHostname: clone,
    setsEnvironment: !keepEnv,
  });
  return { steps };
}

function checkIdentity(identity: PostInitRequest | undefined): asserts identity is PostInitRequest {
  if (!identity) throw invalid('the identity is missing');
  if (!HOSTNAME.test(identity.sandboxId)) throw invalid('the id is no hostname');
  checkToken(identity.token);
}

function checkEntropy({ length }: Buffer): void {
  if (length >= ENTROPY_BYTES_MIN && length <= ENTROPY_BYTES_MAX) return;
  throw invalid(`entropy has ${ENTROPY_BYTES_MIN} to ${ENTROPY_BYTES_MAX} bytes`);
}

function checkMachineId(machineId: string): void {
  if (!MACHINE_ID.test(machineId)) throw invalid('a machine id has 32 hexadecimal digits');
}

function invalid(message: string): WrennError {
  return new WrennError(Code.INVALID_ARGUMENT, 'INVALID_REQUEST', message);
}
