/** What every request to the gateway needs. */
import type { Registry } from '@bufbuild/protobuf';
import type { Log } from '../../lib/log/log.js';
import type { Admission } from './admission.js';
import type { GatewayLimits } from './limits.js';
import type { StaticPages } from './pages/static-pages.js';
import type { RouteTable } from './route-table.js';
import type { Upstream } from './upstream.js';

export interface Gateway {
  /** The types that JSON may name. */
  registry: Registry;
  routes: RouteTable;
  upstream: Upstream;
  admission: Admission;
  limits: GatewayLimits;
  /** Pages of these origins may read the answers. */
  corsOrigins: readonly string[];
  /** The documentation, and what else is served beside the API. */
  pages: StaticPages;
  log: Log;
}
