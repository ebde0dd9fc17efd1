/** Every bound of a WebSocket. docs/errors.md says what a client sees beyond each. */

const KIB = 1024;
const MIB = 1024 * KIB;

/** The protocol that a client must offer and the gateway speaks: JSON of the messages in wrenn.v1. */
export const SUBPROTOCOL = 'wrenn.v1.json';

/** The only version of the WebSocket protocol that has left the drafts. */
export const WEB_SOCKET_VERSION = '13';

/** Frames of one message, and pieces that TCP brings one frame in. */
export const FRAGMENTS_MAX = 1024;
export const BUFFERED_CHUNKS_MAX = 4096;

/** Answers to a client's pings that may wait for it to read. */
export const PENDING_PONGS_MAX = 16;

/** Longest reason of a close frame, by RFC 6455. */
export const CLOSE_REASON_BYTES_MAX = 123;

/** Limits that a deployment or a test may set. */
export interface WebSocketLimits {
  /** WebSockets at once, those that are being opened too. */
  webSocketsMax: number;
  /** Length of one message that a client sends. */
  webSocketMessageBytesMax: number;
  /** The same of every message but the first: 64 KiB of input in base64, and what is around it. */
  webSocketLaterMessageBytesMax: number;
  /** Bytes of answers that wait for the client before the service is read no further. */
  webSocketBufferedBytesMax: number;
  /** Time for the service to let the caller in. */
  webSocketHandshakeTimeoutMs: number;
  /** Time for the first message to arrive. */
  webSocketFirstMessageTimeoutMs: number;
  /** How often the client is asked whether it is there. */
  webSocketPingIntervalMs: number;
  /** Time for the client to say so. */
  webSocketPongTimeoutMs: number;
  /** Time for the client to close after the gateway has. */
  webSocketCloseTimeoutMs: number;
}

export const DEFAULT_WEB_SOCKET_LIMITS: WebSocketLimits = {
  webSocketsMax: 1024,
  webSocketMessageBytesMax: 1 * MIB,
  webSocketLaterMessageBytesMax: 128 * KIB,
  webSocketBufferedBytesMax: 256 * KIB,
  webSocketHandshakeTimeoutMs: 15_000,
  webSocketFirstMessageTimeoutMs: 30_000,
  webSocketPingIntervalMs: 30_000,
  webSocketPongTimeoutMs: 30_000,
  webSocketCloseTimeoutMs: 5_000,
};
