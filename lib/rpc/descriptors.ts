/**
 * The descriptor set of all contracts, as `npm run generate` wrote it. At run
 * time it drives validation, the gateway, reflection and the auth table.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createFileRegistry, type FileRegistry, fromBinary } from '@bufbuild/protobuf';
import { type FileDescriptorSet, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { packageRoot } from '../files/package-root.js';

export interface Descriptors {
  /** The set as buf wrote it. */
  bytes: Buffer;
  set: FileDescriptorSet;
  registry: FileRegistry;
}

let loaded: Descriptors | undefined;

/** Reads the descriptor set, once. */
export function descriptors(): Descriptors {
  if (!loaded) {
    const bytes = readFileSync(join(packageRoot(), 'gen', 'descriptor.binpb'));
    const set = fromBinary(FileDescriptorSetSchema, bytes);
    loaded = { bytes, set, registry: createFileRegistry(set) };
  }
  return loaded;
}
