/** A file of a snapshot that is gone, cut off or altered. */
import { isHostShortage } from '../../lib/errors/host-shortage.js';
import { Code, WrennError } from '../../lib/errors/index.js';

/** @param artifact name of the file, such as `vmstate`. */
export function damaged(artifact: string, cause: unknown): WrennError {
  return new WrennError(Code.DATA_LOSS, 'SNAPSHOT_DAMAGED', `${artifact} is damaged or gone`, {
    metadata: { artifact },
    cause,
  });
}

/** Runs what reads a file of a snapshot; whatever is wrong with the file is damage of it. */
export async function reading<T>(artifact: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof WrennError || isHostShortage(error)) throw error;
    throw damaged(artifact, error);
  }
}
