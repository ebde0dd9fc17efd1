/** The methods of ProcessService that concern launched programs. */
import type {
  AttachRequest,
  LaunchRequest,
  ProcessServiceService,
  ResizeRequest,
  SendInputRequest,
  SendSignalRequest,
} from '../../gen/ts/wrenn/envd/v1/process.js';
import { Code, WrennError } from '../errors/index.js';
import type { CallContext } from '../rpc/call-context.js';
import type { Handlers } from '../rpc/service.js';
import type { LaunchedProcesses } from './launched-processes.js';
import { INPUT_QUEUE_BYTES_MAX } from './process-limits.js';

const PROCESS_ID = /^[a-z0-9]{1,64}$/;
/** Of holders and writers. */
const ID_LENGTH_MAX = 128;
const TERMINAL_SIDE_MAX = 4096;
const SIGNAL_MAX = 64;

type LaunchedProcessHandlers = Omit<Handlers<typeof ProcessServiceService, undefined>, 'start'>;

export function launchedProcessHandlers(processes: LaunchedProcesses): LaunchedProcessHandlers {
  return {
    launch({ peer, signal }: CallContext, request: LaunchRequest) {
      checkLaunch(request);
      return processes.launch(request, { holderId: request.holderId, peer, signal });
    },
    attach({ peer, signal }: CallContext, { processId, offset, holderId }: AttachRequest) {
      const from = offset === undefined ? undefined : Number(offset);
      return processes.attach(processId, { offset: from, holderId, peer, signal });
    },
    async listProcesses() {
      return { processes: processes.list() };
    },
    async sendSignal(_context: CallContext, { processId, signal }: SendSignalRequest) {
      check(signal >= 1 && signal <= SIGNAL_MAX, 'no such signal');
      (await processes.find(processId)).signal(signal);
      return {};
    },
    async sendInput({ signal }: CallContext, { processId, ...piece }: SendInputRequest) {
      check(piece.input.length <= INPUT_QUEUE_BYTES_MAX, 'the input is too large');
      check(piece.writerId !== '' && piece.writerId.length <= ID_LENGTH_MAX, 'no writer id');
      check(piece.sequence >= 1n, 'sequences start at 1');
      await (await processes.find(processId)).sendInput(piece, signal);
      return {};
    },
    async closeStdin(_context: CallContext, { processId }) {
      (await processes.find(processId)).closeInput();
      return {};
    },
    async resize(_context: CallContext, { processId, size }: ResizeRequest) {
      check(size !== undefined, 'the size is missing');
      checkSize(size);
      await (await processes.find(processId)).resize(size);
      return {};
    },
  };
}

function checkLaunch({ processId, holderId, pty }: LaunchRequest): void {
  check(PROCESS_ID.test(processId), 'a process id has 1 to 64 lower-case letters and digits');
  check(holderId.length <= ID_LENGTH_MAX, 'the holder id is too long');
  if (pty) checkSize(pty);
}

function checkSize({ cols, rows }: { cols: number; rows: number }): void {
  const isSide = (side: number) => side >= 1 && side <= TERMINAL_SIDE_MAX;
  check(isSide(cols) && isSide(rows), `a terminal has 1 to ${TERMINAL_SIDE_MAX} columns and rows`);
}

function check(holds: boolean, message: string): asserts holds {
  if (!holds) throw new WrennError(Code.INVALID_ARGUMENT, 'INVALID_REQUEST', message);
}
