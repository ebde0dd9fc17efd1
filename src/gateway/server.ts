/**
 * The gateway: HTTP/JSON in front of the gRPC services. It holds no route and
 * no type of its own; google.api.http in the protos says which request is which
 * call, and the services behind it do all the rest, auth and validation too.
 */
import type { ChannelCredentials } from '@grpc/grpc-js';
import type { Log } from '../../lib/log/log.js';
import { descriptors } from '../../lib/rpc/descriptors.js';
import { Admission } from './admission.js';
import type { Gateway } from './gateway.js';
import { handleRequest, notARequestAnswer } from './handle-request.js';
import { closeHttpServer, createHttpServer, listen } from './http-server.js';
import { withoutExtensions } from './json-message.js';
import { DEFAULT_LIMITS, type GatewayLimits } from './limits.js';
import { DOCUMENTATION, TEST_PAGE } from './pages/page-files.js';
import { StaticPages } from './pages/static-pages.js';
import { buildRouteTable } from './route-table.js';
import { Upstream } from './upstream.js';
import { WebSockets } from './websocket/web-sockets.js';

export interface GatewayOptions {
  /** Where to listen: `host:port` (0 chooses a port) or `unix:/path`. */
  address: string;
  /** The gRPC services, as grpc-js writes targets: `unix:/path` or `host:port`. */
  target: string;
  credentials: ChannelCredentials;
  log: Log;
  /** Pages of these origins may read the answers; none by default. */
  corsOrigins?: readonly string[];
  /** Whether the test page is served. */
  testPage?: boolean;
  limits?: Partial<GatewayLimits>;
}

export interface RunningGateway {
  /** Where it listens, in the form of the option, with the port that was chosen. */
  address: string;
  /** Ends it: requests in flight get `closeTimeoutMs` to end. */
  close(): Promise<void>;
}

const PUBLIC_PACKAGE = 'wrenn.v1';

/** Starts the gateway; rejects when the protos hold a route that it cannot serve. */
export async function startGateway(options: GatewayOptions): Promise<RunningGateway> {
  const { bytes, registry } = descriptors();
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const routes = buildRouteTable(registry, PUBLIC_PACKAGE);
  const upstream = new Upstream(bytes, options.target, options.credentials);
  const admission = new Admission(limits);
  const gateway: Gateway = {
    registry: withoutExtensions(registry),
    routes,
    upstream,
    admission,
    limits,
    corsOrigins: options.corsOrigins ?? [],
    pages: StaticPages.load([...DOCUMENTATION, ...(options.testPage ? TEST_PAGE : [])]),
    log: options.log,
  };
  const webSockets = new WebSockets(gateway);
  const server = createHttpServer(
    (request, response, invite) => void handleRequest(gateway, request, response, invite),
    (request, socket, head) => webSockets.accept(request, socket, head),
    (httpStatus) => notARequestAnswer(gateway, httpStatus),
    limits,
  );
  const address = await listen(server, options.address).catch((error: unknown) => {
    upstream.close();
    throw error;
  });
  return {
    address,
    close: async () => {
      await Promise.all([
        closeHttpServer(server, limits.closeTimeoutMs),
        webSockets.close(limits.closeTimeoutMs),
      ]);
      upstream.close();
    },
  };
}
