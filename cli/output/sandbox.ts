/** How a sandbox is printed, for programs and for people. */
import { Sandbox, SandboxState, TimeoutAction } from '../../gen/ts/wrenn/v1/sandbox.js';
import { reasonName } from '../../lib/errors/index.js';
import { messageToJson } from './message-json.js';

export function sandboxToJson(sandbox: Sandbox) {
  return messageToJson('wrenn.v1.Sandbox', Sandbox, sandbox);
}

/** `RUNNING`, or `FAILED (VMM_EXITED)` when there is a cause. */
export function formatState({ state, stateReason }: Sandbox): string {
  const name = (SandboxState[state] ?? String(state)).replace('SANDBOX_STATE_', '');
  const reason = reasonName(stateReason);
  return reason === 'UNSPECIFIED' ? name : `${name} (${reason})`;
}

/** `600 s, then pause`, or `never`. */
export function formatTimeout({ timeoutSec, onTimeout }: Sandbox): string {
  if (timeoutSec === 0) return 'never';
  const pauses = onTimeout === TimeoutAction.TIMEOUT_ACTION_PAUSE;
  return `${timeoutSec} s, then ${pauses ? 'pause' : 'delete'}`;
}
