/** The answer to a request that is none for a WebSocket where the route takes nothing else. */
import { Code, WrennError } from '../../../lib/errors/index.js';
import { SUBPROTOCOL } from './limits.js';

/** 426 Upgrade Required; response.ts makes the headers of it. */
export function upgradeRequired(): WrennError {
  return new WrennError(
    Code.UNIMPLEMENTED,
    'METHOD_NOT_ALLOWED',
    `this route takes a WebSocket of version 13 with the subprotocol ${SUBPROTOCOL}`,
    { metadata: { upgrade: 'websocket' } },
  );
}
