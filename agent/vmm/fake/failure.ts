import { Code, WrennError } from '../../../lib/errors/index.js';

/** What a driver throws for whatever went wrong with its VMM. */
export function vmmFailure(error: unknown, message: string): WrennError {
  if (error instanceof WrennError) return error;
  return new WrennError(Code.UNAVAILABLE, 'VMM_FAILED', message, { cause: error });
}
