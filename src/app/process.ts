/** Programs in sandboxes. */
import type { ExecRequest, ExecResponse } from '../../gen/ts/wrenn/v1/process.js';
import type { HostAgent } from '../hosts/host-agent.js';
import { decodeText } from './output-text.js';
import type { SandboxOperations } from './sandbox.js';

const TIMEOUT_SEC_DEFAULT = 30;
/**
 * Bytes of both outputs up to which they are given as text, too. Bytes and
 * text together then fit a message of 4 MiB with everything around them.
 */
export const TEXT_BYTES_MAX = 2_000_000;

export class ProcessOperations {
  readonly #sandboxes: SandboxOperations;
  readonly #host: HostAgent;

  constructor(sandboxes: SandboxOperations, host: HostAgent) {
    this.#sandboxes = sandboxes;
    this.#host = host;
  }

  /** Runs a program to its end. @throws SANDBOX_NOT_FOUND, SANDBOX_STATE, COMMAND_NOT_FOUND, COMMAND_TIMEOUT, … */
  async exec(teamId: string, request: ExecRequest, signal: AbortSignal): Promise<ExecResponse> {
    const timeoutSec = request.timeoutSec || TIMEOUT_SEC_DEFAULT;
    const result = await this.#sandboxes.use(teamId, request.sandboxId, () =>
      this.#host.exec({ ...request, timeoutSec }, signal),
    );
    const { stdout, stderr, stdoutTruncated, stderrTruncated } = result;
    const hasText = stdout.length + stderr.length <= TEXT_BYTES_MAX;
    return {
      ...result,
      stdoutText: hasText ? decodeText(stdout, stdoutTruncated) : '',
      stderrText: hasText ? decodeText(stderr, stderrTruncated) : '',
    };
  }
}
