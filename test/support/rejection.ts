/** What a call rejects with, for assertions on code and reason. */
import { WrennError } from '../../lib/errors/index.js';

/** The error of a call that must fail. @throws Error when the call succeeds. */
export async function rejectionOf(call: Promise<unknown>): Promise<WrennError> {
  try {
    await call;
  } catch (error) {
    return WrennError.from(error);
  }
  throw new Error('the call succeeded, it should have failed');
}

/** The reason of a call that must fail. */
export async function reasonOf(call: Promise<unknown>): Promise<string> {
  return (await rejectionOf(call)).reason;
}
