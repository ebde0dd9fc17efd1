/** ProcessService. */
import type { ProcessServiceService } from '../../gen/ts/wrenn/v1/process.js';
import type { ProcessOperations } from '../app/process.js';
import { teamOf } from '../auth/principal.js';
import type { PublicHandlers } from './handlers.js';

export function processHandlers(
  processes: ProcessOperations,
): PublicHandlers<typeof ProcessServiceService> {
  return {
    exec: ({ principal, signal }, request) => processes.exec(teamOf(principal), request, signal),
  };
}
