/**
 * All sandboxes of this machine, of every team, as the host agent has them: it
 * is asked on its own socket, so that neither keys nor a database are needed.
 */
import { credentials } from '@grpc/grpc-js';
import {
  HostAgentServiceService,
  type Sandbox,
  SandboxState as State,
} from '../../gen/ts/wrenn/hostagent/v1/host_agent.js';
import { Code, WrennError } from '../../lib/errors/index.js';
import { delay } from '../../lib/lifecycle/delay.js';
import { mapConcurrently } from '../../lib/lifecycle/map-concurrently.js';
import { createClient, type RpcClient } from '../../lib/rpc/client.js';

/** Each pause writes a machine's memory to the disk; more at once would only wait for it. */
const PAUSES_AT_ONCE_MAX = 4;
const DESTROYS_AT_ONCE_MAX = 8;
const LIST_TIMEOUT_MS = 10_000;
const PAUSE_TIMEOUT_MS = 600_000;
const DESTROY_TIMEOUT_MS = 60_000;
/** How long a sandbox that starts, or is being paused or resumed, may go on with that. */
const SETTLE_TIMEOUT_MS = 120_000;
/** Somebody who resumes what is paused here is not fought for ever. */
const PAUSES_EACH_MAX = 3;
const SETTLE_POLL_MS = 200;
const STILL_LOOKING = 'the agent still looks for sandboxes of an earlier run';

type Agent = RpcClient<typeof HostAgentServiceService>;

/** What does not run, and needs no pause. */
const OVER = [State.SANDBOX_STATE_PAUSED, State.SANDBOX_STATE_STOPPING, State.SANDBOX_STATE_ENDED];

/** A sandbox that goes on running. */
export interface Unpaused {
  sandboxId: string;
  /** Cause, such as `PAUSE_FAILED`. */
  reason: string;
}

export interface PauseOutcome {
  /** Ids of those that were paused now. */
  paused: string[];
  unpaused: Unpaused[];
}

interface Progress {
  paused: Set<string>;
  failed: Map<string, Unpaused>;
  tries: Map<string, number>;
}

/**
 * Pauses every sandbox of an agent that runs. The rows follow: the reconciler
 * finds them paused, now or after the next start.
 * @param onPaused called with the id of each one that is paused.
 * @throws WrennError when the agent does not answer.
 */
export function pauseSandboxes(
  socketPath: string,
  onPaused: (sandboxId: string) => void,
): Promise<PauseOutcome> {
  return withAgent(socketPath, async (agent) => {
    const progress: Progress = { paused: new Set(), failed: new Map(), tries: new Map() };
    let settleBy = Date.now() + SETTLE_TIMEOUT_MS;
    // Again and again, since one may come up while others are being paused.
    for (;;) {
      const { live, complete } = await listLive(agent, progress);
      const running = live.filter(({ state }) => state === State.SANDBOX_STATE_RUNNING);
      await mapConcurrently(running, PAUSES_AT_ONCE_MAX, async (sandbox) => {
        if (await pauseOne(agent, sandbox, progress)) onPaused(sandbox.sandboxId);
      });
      if (live.length === 0 && complete) break;
      if (running.length > 0) settleBy = Date.now() + SETTLE_TIMEOUT_MS;
      else if (Date.now() < settleBy) await delay(SETTLE_POLL_MS);
      else if (complete) for (const one of live) giveUp(one, progress);
      else throw new WrennError(Code.UNAVAILABLE, 'HOST_UNAVAILABLE', STILL_LOOKING);
    }
    return { paused: [...progress.paused], unpaused: [...progress.failed.values()] };
  });
}

/**
 * Ends every sandbox of an agent, or those of `ids`, with all that it keeps of them.
 * @returns how many there were.
 */
export function destroySandboxes(socketPath: string, ids?: ReadonlySet<string>): Promise<number> {
  return withAgent(socketPath, async (agent) => {
    const { sandboxes } = await agent.listSandboxes({}, { timeoutMs: LIST_TIMEOUT_MS });
    const chosen = sandboxes.filter(({ sandboxId }) => ids?.has(sandboxId) ?? true);
    await mapConcurrently(chosen, DESTROYS_AT_ONCE_MAX, ({ sandboxId, generation }) =>
      agent.destroySandbox({ sandboxId, generation }, { timeoutMs: DESTROY_TIMEOUT_MS }),
    );
    return chosen.length;
  });
}

/** What is neither paused nor over, without those of which is known that they cannot be paused. */
async function listLive(
  agent: Agent,
  { failed }: Progress,
): Promise<{ live: Sandbox[]; complete: boolean }> {
  const { sandboxes, complete } = await agent.listSandboxes({}, { timeoutMs: LIST_TIMEOUT_MS });
  const live = sandboxes.filter(
    ({ sandboxId, state }) => !OVER.includes(state) && !failed.has(sandboxId),
  );
  return { live, complete };
}

/** @returns whether it was paused. */
async function pauseOne(agent: Agent, sandbox: Sandbox, progress: Progress): Promise<boolean> {
  const { sandboxId, generation } = sandbox;
  const tries = (progress.tries.get(sandboxId) ?? 0) + 1;
  progress.tries.set(sandboxId, tries);
  if (tries > PAUSES_EACH_MAX) {
    giveUp(sandbox, progress);
    return false;
  }
  try {
    await agent.pauseSandbox({ sandboxId, generation }, { timeoutMs: PAUSE_TIMEOUT_MS });
    progress.paused.add(sandboxId);
    return true;
  } catch (error) {
    if (!(error instanceof WrennError)) throw error;
    // Its own timeout, or somebody else, may have ended it first.
    const isGone = error.reason === 'SANDBOX_NOT_FOUND';
    if (!isGone) progress.failed.set(sandboxId, { sandboxId, reason: error.reason });
    return false;
  }
}

/** The state that it stays in says why. */
function giveUp({ sandboxId, state }: Sandbox, { paused, failed }: Progress): void {
  const reason = (State[state] ?? String(state)).replace('SANDBOX_STATE_', '');
  paused.delete(sandboxId);
  failed.set(sandboxId, { sandboxId, reason });
}

async function withAgent<T>(socketPath: string, use: (agent: Agent) => Promise<T>): Promise<T> {
  const agent = createClient(
    HostAgentServiceService,
    `unix:${socketPath}`,
    credentials.createInsecure(),
  );
  try {
    return await use(agent);
  } finally {
    agent.close();
  }
}
