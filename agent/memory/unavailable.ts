/** Why memory cannot be served at all. */
import type { MemoryFailure } from './provider.js';

export class MemoryUnavailable extends Error implements MemoryFailure {
  override readonly name = 'MemoryUnavailable';
  readonly kind: MemoryFailure['kind'];
  declare readonly artifact?: string;

  constructor(failure: MemoryFailure, options?: ErrorOptions) {
    super(failure.message, options);
    this.kind = failure.kind;
    if (failure.artifact !== undefined) this.artifact = failure.artifact;
  }
}

/** A block of a file that cannot be read or fails its checksum. */
export function damagedBlock(path: string, block: number): MemoryUnavailable {
  const message = `block ${block} of the memory file ${path} is damaged`;
  return new MemoryUnavailable({ kind: 'damaged', message, artifact: path });
}
