/**
 * An open WebSocket and the call behind it, from the first message to the close
 * frame. Either side ends it, and whichever does first decides how it closes.
 */
import type { WebSocket } from 'ws';
import type { Status } from '../../../gen/ts/google/rpc/status.js';
import { Code, WrennError } from '../../../lib/errors/index.js';
import type { UpstreamStream } from '../upstream-stream.js';
import { CLOSE_CODES, closeCodeOf, closeReasonOf } from './close-codes.js';
import { Heartbeat } from './heartbeat.js';
import { Inbox } from './inbox.js';
import type { WebSocketLimits } from './limits.js';
import { lowerMessageLimit } from './message-limit.js';
import { Outbox } from './outbox.js';

/** How a conversation ended. */
export type Ending =
  | { kind: 'completed' }
  | { kind: 'failed'; error: unknown }
  | { kind: 'binary' }
  /** The client has closed it, broken a rule of the protocol, or vanished. */
  | { kind: 'left' }
  | { kind: 'shutdown' };

export interface Conversation {
  webSocket: WebSocket;
  call: UpstreamStream;
  encode: (text: Buffer) => Uint8Array;
  decode: (response: Buffer) => string;
  /** The status that the client sees of an error, and the text that tells it. */
  describe: (error: unknown) => { status: Status; text: string };
  /** Aborts when the gateway shuts down. */
  shutdown: AbortSignal;
  limits: WebSocketLimits & { answerTimeoutMs: number };
}

/**
 * Carries messages both ways until the WebSocket is closed; never rejects. Must
 * be called in the turn in which the WebSocket was made.
 */
export async function converse(conversation: Conversation): Promise<Ending> {
  const { webSocket, call, limits } = conversation;
  const closed = new Promise<void>((resolve) => webSocket.once('close', () => resolve()));
  const heartbeat = new Heartbeat(webSocket, limits);
  const inbox = new Inbox(webSocket, heartbeat);
  const outbox = new Outbox(webSocket, heartbeat, limits.webSocketBufferedBytesMax);
  const ending = await firstEnding(conversation, inbox, outbox);
  call.cancel();
  inbox.close();
  const overdue = setTimeout(() => webSocket.terminate(), limits.answerTimeoutMs);
  await closeAs(ending, conversation, outbox);
  await closed;
  clearTimeout(overdue);
  return ending;
}

function firstEnding(conversation: Conversation, inbox: Inbox, outbox: Outbox): Promise<Ending> {
  const { webSocket, shutdown } = conversation;
  return new Promise((end) => {
    const fail = (error: unknown) => end({ kind: 'failed', error });
    const leave = () => end({ kind: 'left' });
    const shutDown = () => end({ kind: 'shutdown' });
    webSocket.once('close', () => {
      shutdown.removeEventListener('abort', shutDown);
      leave();
    });
    // The library has told the client what is wrong by its close frame.
    webSocket.on('error', leave);
    shutdown.addEventListener('abort', shutDown, { once: true });
    if (shutdown.aborted) shutDown();
    receive(conversation, inbox).then(() => end({ kind: 'binary' }), fail);
    answer(conversation, outbox).then(
      () => (webSocket.readyState === webSocket.OPEN ? end({ kind: 'completed' }) : leave()),
      fail,
    );
  });
}

/** Hands the client's messages to the service; returns at a binary one. */
async function receive(
  { webSocket, call, encode, limits }: Conversation,
  inbox: Inbox,
): Promise<void> {
  let message = await inbox.next(limits.webSocketFirstMessageTimeoutMs);
  lowerMessageLimit(webSocket, limits.webSocketLaterMessageBytesMax);
  let isOver = false;
  while (!message.isBinary) {
    if (isOver) throw afterTheEnd();
    isOver = message.data.length === 0;
    if (isOver) call.end();
    else await call.write(encode(message.data));
    message = await inbox.next();
  }
}

/** Hands the service's messages to the client; returns when the call has ended well or the client closes. */
async function answer({ call, decode, webSocket }: Conversation, outbox: Outbox): Promise<void> {
  for await (const response of call.responses) {
    if (webSocket.readyState !== webSocket.OPEN) return;
    await outbox.send(decode(response));
  }
}

/** Starts the closing handshake, behind all that was sent. */
async function closeAs(
  ending: Ending,
  { webSocket, describe }: Conversation,
  outbox: Outbox,
): Promise<void> {
  switch (ending.kind) {
    case 'completed':
      await outbox.flushed();
      return webSocket.close(CLOSE_CODES.completed);
    case 'failed': {
      const { status, text } = describe(ending.error);
      await outbox.send(text);
      await outbox.flushed();
      return webSocket.close(closeCodeOf(status), closeReasonOf(status));
    }
    case 'binary':
      return webSocket.close(CLOSE_CODES.binary, 'send text messages');
    case 'shutdown':
      return webSocket.close(CLOSE_CODES.shutdown, 'SHUTTING_DOWN');
    case 'left':
  }
}

function afterTheEnd(): WrennError {
  return new WrennError(
    Code.INVALID_ARGUMENT,
    'INVALID_REQUEST',
    'a message came after the empty one, which says that no more follow',
  );
}
