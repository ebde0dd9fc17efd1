/** A request for a route becomes a call of its method, and what comes back the answer. */
import type { AdmittedRequest } from './admission.js';
import { bindRequest } from './bind-request.js';
import { streamTimeoutMs, timeoutMsOf } from './deadlines.js';
import type { Exchange } from './exchange.js';
import type { Gateway } from './gateway.js';
import { FORM_TYPE, mediaTypeOf } from './media-type.js';
import { parseBody } from './request-body.js';
import { callerTimeoutMs, toMetadata } from './request-headers.js';
import { type Answer, messageAnswer } from './response.js';
import type { RouteMatch } from './route-table.js';
import { type StreamAnswer, streamAnswer } from './server-stream.js';
import { upload } from './upload.js';
import type { UpstreamCallOptions } from './upstream.js';
import { upgradeRequired } from './websocket/upgrade-required.js';

/** One request that has found its route. */
export interface RoutedRequest {
  exchange: Exchange;
  match: RouteMatch;
  /** What stands after `?`, undecoded. */
  query: string;
  admitted: AdmittedRequest;
}

/** Calls the method of a route; rejects with the ServiceError of the call and what binding throws. */
export async function callMethod(
  gateway: Gateway,
  routed: RoutedRequest,
): Promise<Answer | StreamAnswer> {
  const { route } = routed.match;
  switch (route.kind) {
    case 'unary': {
      const upload = formUploadOf(routed);
      return upload ? callWithUpload(gateway, upload) : callUnary(gateway, routed);
    }
    case 'client_streaming':
      return callWithUpload(gateway, routed);
    case 'server_streaming':
      return callForStream(gateway, routed);
    case 'bidi_streaming':
      throw upgradeRequired();
  }
}

/** A form goes to the client stream that the method names for it, if it names one. */
function formUploadOf(routed: RoutedRequest): RoutedRequest | undefined {
  const { match, exchange } = routed;
  const { upload } = match.route;
  if (!upload || mediaTypeOf(exchange.request.headers) !== FORM_TYPE) return undefined;
  return { ...routed, match: { ...match, route: upload } };
}

async function callUnary(gateway: Gateway, routed: RoutedRequest): Promise<Answer> {
  const { registry, upstream } = gateway;
  const { route } = routed.match;
  const waitsMs = callerTimeoutMs(routed.exchange.request);
  const { message, bytes, options } = await bindCall(gateway, routed);
  const timeoutMs = timeoutMsOf(route.rpcPath, message, waitsMs);
  const response = await upstream.call(route.rpcPath, bytes, { ...options, timeoutMs });
  return messageAnswer(route, response, registry);
}

async function callForStream(gateway: Gateway, routed: RoutedRequest): Promise<StreamAnswer> {
  const { registry, upstream, limits } = gateway;
  const { match, exchange, admitted } = routed;
  const { bytes, options } = await bindCall(gateway, routed);
  admitted.becomeStream();
  const stream = upstream.open(match.route.rpcPath, {
    ...options,
    timeoutMs: streamTimeoutMs(callerTimeoutMs(exchange.request)),
  });
  // A call that is over says so to whoever reads its answers.
  stream.write(bytes).catch(() => undefined);
  stream.end();
  return streamAnswer(match.route, stream.responses, exchange.request.headers, {
    registry,
    quietMs: limits.streamQuietMs,
  });
}

async function callWithUpload(gateway: Gateway, routed: RoutedRequest): Promise<Answer> {
  const { registry, upstream, limits } = gateway;
  const { match, query, exchange, admitted } = routed;
  const options = callOptions(exchange);
  const timeoutMs = streamTimeoutMs(callerTimeoutMs(exchange.request));
  const open = () => {
    admitted.becomeStream();
    return upstream.open(match.route.rpcPath, { ...options, timeoutMs, endsExplicitly: true });
  };
  const body = { ...exchange, admitted };
  const response = await upload(match, query, body, { registry, limits, open });
  return messageAnswer(match.route, response, registry);
}

/** Reads the body and makes the one message of a call. */
async function bindCall(
  { registry, limits }: Gateway,
  { exchange, match, query, admitted }: RoutedRequest,
) {
  const options = callOptions(exchange);
  const body = await parseBody({ ...exchange, admitted }, match.route, limits);
  return { ...bindRequest(match, query, body, registry), options };
}

function callOptions({
  request,
  requestId,
  signal,
}: Exchange): Omit<UpstreamCallOptions, 'timeoutMs'> {
  return { metadata: toMetadata(request, requestId), signal };
}
