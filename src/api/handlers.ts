/** Handlers of a public service: they translate, src/app decides. */
import type { ServiceShape } from '../../lib/rpc/method.js';
import type { Handlers } from '../../lib/rpc/service.js';
import type { Principal } from '../auth/principal.js';

export type PublicHandlers<S extends ServiceShape> = Handlers<S, Principal>;
