/** Every bound of the gateway. docs/errors.md says what a caller sees beyond each. */
import { DEFAULT_WEB_SOCKET_LIMITS, type WebSocketLimits } from './websocket/limits.js';

const KIB = 1024;
const MIB = 1024 * KIB;

/** Largest encoded message that the services take; grpc-js has the same default. */
export const MESSAGE_BYTES_MAX = 4 * MIB;

/** Largest answer of a service; what grpc clients take by default. */
export const RESPONSE_MESSAGE_BYTES_MAX = 4 * MIB;

/** Bytes of one stream that wait in the channel for its connection. */
export const STREAM_SEND_BUFFER_BYTES_MAX = 64 * KIB;

/** Most of an upload's content that goes to the service in one message. */
export const UPLOAD_PIECE_BYTES_MAX = 64 * KIB;

/** Fields of a form that stand before its content, together. */
export const FORM_FIELDS_BYTES_MAX = 64 * KIB;

/** Deepest nesting of objects and arrays in a JSON body. */
export const JSON_DEPTH_MAX = 64;

/** Most parts in a form, and most names in a query. */
export const PARAMETERS_MAX = 64;

/** Deepest field path (`a.b.c`) in a query or form. */
export const FIELD_PATH_DEPTH_MAX = 8;

/** Header fields of one request, and their total size with the request line. */
export const HEADER_PAIRS_MAX = 64;
export const HEADER_BYTES_MAX = 16 * KIB;

/** Time a client has to present its upload once it has been refused. */
export const REFUSED_BODY_LINGER_MS = 2_000;
/** Bytes of a refused upload that are read and dropped, so that the client sees the answer. */
export const REFUSED_BODY_BYTES_MAX = 16 * MIB;

/** Time that /readyz gives the services to answer. */
export const READINESS_TIMEOUT_MS = 2_000;

/** Limits that a deployment or a test may set. */
export interface GatewayLimits extends WebSocketLimits {
  /** Connections at once; further ones are closed when they are accepted. */
  connectionsMax: number;
  /** Requests at once over all connections, each until its answer has left. */
  requestsMax: number;
  /** Streams at once, up and down; they do not count as requests while they flow. */
  streamsMax: number;
  /** Bytes of bodies, of requests and then of answers, held at once over all requests. */
  bufferedBodyBytesMax: number;
  /** Body of a JSON request whose message has no bytes field. */
  jsonBodyBytesMax: number;
  /** Body of a JSON request whose message has one: base64 makes four bytes out of three. */
  jsonBodyWithBytesMax: number;
  /** Body of a form. */
  formBodyBytesMax: number;
  /** Time for the headers of a request to arrive. */
  headersTimeoutMs: number;
  /** Time for a whole body to arrive that is kept until it is there. */
  requestTimeoutMs: number;
  /** Time within which an upload that is passed on has to make some progress. */
  uploadStallTimeoutMs: number;
  /** How often the time for headers is looked at. */
  connectionCheckIntervalMs: number;
  /** Time that an idle connection stays open. */
  keepAliveTimeoutMs: number;
  /** Time for a client to take an answer. */
  answerTimeoutMs: number;
  /** Time after which a stream that has nothing to say yet begins, and one of events says that it lives. */
  streamQuietMs: number;
  /** Time after which a client is cut off that takes nothing of a stream. */
  streamStallTimeoutMs: number;
  /** Time that requests in flight have to end after `close`. */
  closeTimeoutMs: number;
}

export const DEFAULT_LIMITS: GatewayLimits = {
  ...DEFAULT_WEB_SOCKET_LIMITS,
  connectionsMax: 4096,
  requestsMax: 1024,
  streamsMax: 2048,
  bufferedBodyBytesMax: 256 * MIB,
  jsonBodyBytesMax: 1 * MIB,
  jsonBodyWithBytesMax: 6 * MIB,
  formBodyBytesMax: MESSAGE_BYTES_MAX + 64 * KIB,
  headersTimeoutMs: 15_000,
  requestTimeoutMs: 120_000,
  uploadStallTimeoutMs: 60_000,
  connectionCheckIntervalMs: 5_000,
  keepAliveTimeoutMs: 30_000,
  answerTimeoutMs: 120_000,
  streamQuietMs: 15_000,
  streamStallTimeoutMs: 3_600_000,
  closeTimeoutMs: 10_000,
};
