/**
 * The daemon's end of a terminal as a stream. Node's own streams for terminals write until the
 * terminal takes it all, and the whole daemon stands still when a program does not read what is
 * typed. So the descriptor gets the handle of a pipe, which waits until there is room; net.Socket
 * would choose the one for terminals by itself.
 */
import { readSync } from 'node:fs';
import { Socket, type SocketConstructorOpts } from 'node:net';

/** More than the kernel holds of one terminal's output. */
const REST_BYTES_MAX = 64 * 1024;

interface PipeHandle {
  /** @throws or returns an error number when the descriptor cannot be used. */
  open(fd: number): number | undefined;
}

interface PipeBinding {
  Pipe: new (type: number) => PipeHandle;
  constants: { SOCKET: number };
}

/** Takes over a descriptor of /dev/ptmx. */
export function openTerminalStream(fd: number): Socket {
  const { binding } = process as unknown as { binding(name: 'pipe_wrap'): PipeBinding };
  const { Pipe, constants } = binding('pipe_wrap');
  const handle = new Pipe(constants.SOCKET);
  const error = handle.open(fd);
  if (error) throw new Error(`the terminal cannot be opened: ${error}`);
  const stream = new Socket({ handle } as unknown as SocketConstructorOpts);
  stream.once('end', () => {
    for (const data of readRest(fd)) stream.emit('data', data);
  });
  return stream;
}

/**
 * What is still in the kernel when the stream ends: the event loop takes a hang-up for the end as
 * soon as a read gives less than it asked for, and a terminal never gives much at one time.
 */
function* readRest(fd: number): Iterable<Buffer> {
  const buffer = Buffer.allocUnsafe(REST_BYTES_MAX);
  for (let length = 0; length < REST_BYTES_MAX; ) {
    const count = readOrEnd(fd, buffer.subarray(length));
    if (count === 0) return;
    yield buffer.subarray(length, length + count);
    length += count;
  }
}

/** A terminal at its end gives an error, as one that is empty does. */
function readOrEnd(fd: number, buffer: Buffer): number {
  try {
    return readSync(fd, buffer);
  } catch {
    return 0;
  }
}
