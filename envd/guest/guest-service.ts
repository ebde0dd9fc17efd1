/** GuestService: tells that the daemon runs, and makes the guest a sandbox. */
import { writeFile } from 'node:fs/promises';
import type {
  GuestServiceService,
  PostInitRequest,
  PostInitResponse,
  PostInitResponse_Step,
} from '../../gen/ts/wrenn/envd/v1/guest.js';
import { Code, WrennError } from '../../lib/errors/index.js';
import type { CallContext } from '../../lib/rpc/call-context.js';
import type { Handlers } from '../../lib/rpc/service.js';
import { checkToken, type TokenStore } from '../auth.js';
import type { EnvdConfig } from '../config.js';
import { ENVD_VERSION } from '../version.js';
import type { Identity } from './identity.js';
import { setWallClock } from './wall-clock.js';

const HOSTNAME = /^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$/;

export interface Guest {
  config: EnvdConfig;
  tokens: TokenStore;
  identity: Identity;
}

export function guestHandlers(guest: Guest): Handlers<typeof GuestServiceService, undefined> {
  return {
    async getHealth() {
      return { version: ENVD_VERSION, initialized: guest.tokens.initialized };
    },
    async postInit(context: CallContext, request: PostInitRequest): Promise<PostInitResponse> {
      checkHostname(request.sandboxId);
      checkToken(request.token);
      // Again, now that nothing is awaited between the check and the new token.
      guest.tokens.requireTokenOrNone(context.metadata);
      return { steps: await runSteps(stepsOf(guest, request)) };
    },
  };
}

type Steps = [name: string, run: () => Promise<void>][];

function stepsOf({ config, tokens, identity }: Guest, request: PostInitRequest): Steps {
  return [
    ['token', () => tokens.set(request.token)],
    ['hostname', () => writeFile(config.hostnamePath, request.sandboxId)],
    ['environment', () => identity.setEnvironment(request.env)],
    ['template_id', () => identity.setTemplateId(request.templateId)],
    ['sandbox_id', () => identity.setSandboxId(request.sandboxId)],
    ['wall_clock', () => setClock(request.wallClockNs, config.busyboxPath)],
  ];
}

/** Runs every step, also after one has failed: the report tells all that is wrong. */
async function runSteps(steps: Steps): Promise<PostInitResponse_Step[]> {
  const report: PostInitResponse_Step[] = [];
  for (const [name, step] of steps) {
    const startedAt = performance.now();
    let error = '';
    try {
      await step();
    } catch (thrown) {
      error = thrown instanceof Error && thrown.message !== '' ? thrown.message : 'failed';
    }
    report.push({ name, durationMs: performance.now() - startedAt, error });
  }
  return report;
}

async function setClock(wallClockNs: bigint, busyboxPath: string): Promise<void> {
  if (wallClockNs !== 0n) await setWallClock(wallClockNs, busyboxPath);
}

function checkHostname(sandboxId: string): void {
  if (HOSTNAME.test(sandboxId)) return;
  throw new WrennError(Code.INVALID_ARGUMENT, 'INVALID_REQUEST', 'the id is no hostname');
}
