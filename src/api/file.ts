/** FileService. */
import type { FileServiceService } from '../../gen/ts/wrenn/v1/file.js';
import type { FileOperations } from '../app/file.js';
import { teamOf } from '../auth/principal.js';
import type { PublicHandlers } from './handlers.js';

export function fileHandlers(files: FileOperations): PublicHandlers<typeof FileServiceService> {
  return {
    writeFile: ({ principal, signal }, request) => files.write(teamOf(principal), request, signal),
    readFile: ({ principal, signal }, request) => files.read(teamOf(principal), request, signal),
  };
}
