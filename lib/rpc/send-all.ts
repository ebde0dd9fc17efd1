/** Sends a stream of requests on a call, as fast as its other end takes them. */
import type { Writable } from 'node:stream';

/**
 * Sends all requests and then says that no more follow. It stops when the call
 * is over, for whatever cause: that shows on the side of the answers.
 * @throws what the requests throw.
 */
export async function sendAll(call: Writable, requests: AsyncIterable<unknown>): Promise<void> {
  let isOver = false;
  let wake: () => void = () => undefined;
  const end = () => {
    isOver = true;
    wake();
  };
  // A write to a call that is over is reported as an error of the stream.
  call.on('error', end);
  call.once('close', end);
  call.once('status', end);
  call.on('drain', () => wake());
  for await (const request of requests) {
    if (isOver) return;
    if (call.write(request)) continue;
    await new Promise<void>((resolve) => {
      wake = resolve;
    });
    if (isOver) return;
  }
  if (!isOver) call.end();
}
