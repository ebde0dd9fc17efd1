/** The largest message of an open WebSocket, which may change while it is open. */
import type { WebSocket } from 'ws';

/**
 * Lets no larger message arrive from now on; never more than before. The library
 * has an option for whole servers only; this is the field in which a WebSocket
 * keeps it.
 */
export function lowerMessageLimit(webSocket: WebSocket, bytesMax: number): void {
  const { _receiver: receiver } = webSocket as unknown as { _receiver: { _maxPayload: number } };
  receiver._maxPayload = Math.min(receiver._maxPayload, bytesMax);
}
