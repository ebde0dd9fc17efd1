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
const SETTLE_POLL_MS = 200;
const STILL_LOOKING = 'the agent still looks for sandboxes of an earlier run';

type Agent = RpcClient<typeof HostAgentServiceService>;

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
    const paused: string[] = [];
    const failed = new Map<string, Unpaused>();
    let settleBy = Date.now() + SETTLE_TIMEOUT_MS;
    // Again and again, since one may come up while others are being paused.
    for (;;) {
      const { live, complete } = await listLive(agent, failed);
      const running = live.filter(({ state }) => state === State.SANDBOX_STATE_RUNNING);
      await mapConcurrently(running, PAUSES_AT_ONCE_MAX, async (sandbox) => {
        const failure = await pauseOne(agent, sandbox);
        if (failure) failed.set(sandbox.sandboxId, failure);
        else {
          paused.push(sandbox.sandboxId);
          onPaused(sandbox.sandboxId);
        }
      });
      if (live.length === 0 && complete) break;
      if (running.length > 0) settleBy = Date.now() + SETTLE_TIMEOUT_MS;
      else if (Date.now() < settleBy) await delay(SETTLE_POLL_MS);
      else if (complete) for (const one of live) failed.set(one.sandboxId, unsettled(one));
      else throw new WrennError(Code.UNAVAILABLE, 'HOST_UNAVAILABLE', STILL_LOOKING);
    }
    return { paused, unpaused: [...failed.values()] };
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
  failed: ReadonlyMap<string, Unpaused>,
): Promise<{ live: Sandbox[]; complete: boolean }> {
  const { sandboxes, complete } = await agent.listSandboxes({}, { timeoutMs: LIST_TIMEOUT_MS });
  const over = [
    State.SANDBOX_STATE_PAUSED,
    State.SANDBOX_STATE_STOPPING,
    State.SANDBOX_STATE_ENDED,
  ];
  const live = sandboxes.filter(
    ({ sandboxId, state }) => !over.includes(state) && !failed.has(sandboxId),
  );
  return { live, complete };
}

async function pauseOne(
  agent: Agent,
  { sandboxId, generation }: Sandbox,
): Promise<Unpaused | undefined> {
  try {
    await agent.pauseSandbox({ sandboxId, generation }, { timeoutMs: PAUSE_TIMEOUT_MS });
    return undefined;
  } catch (error) {
    // Its own timeout, or somebody else, may have ended it first.
    if (!(error instanceof WrennError)) throw error;
    if (error.reason === 'SANDBOX_NOT_FOUND') return undefined;
    return { sandboxId, reason: error.reason };
  }
}

function unsettled({ sandboxId, state }: Sandbox): Unpaused {
  return { sandboxId, reason: (State[state] ?? String(state)).replace('SANDBOX_STATE_', '') };
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
