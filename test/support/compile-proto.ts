/** Compiles a proto that a test holds, with the vendored ones to import. */
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createFileRegistry, type FileRegistry, fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { packageRoot } from '../../lib/files/package-root.js';
import { run } from '../../lib/process/run.js';
import { temporaryDirectory } from './temporary-directory.js';

const BUF_CONFIGURATION = 'version: v2\nmodules:\n  - path: test\n  - path: third_party\n';
const BUF_TIMEOUT_MS = 60_000;

/** Compiles the text of a proto file; rejects with buf's words when it is wrong. */
export async function compileProto(text: string): Promise<FileRegistry> {
  await using directory = await temporaryDirectory();
  const root = packageRoot();
  await cp(join(root, 'third_party'), join(directory.path, 'third_party'), { recursive: true });
  await mkdir(join(directory.path, 'test'));
  await writeFile(join(directory.path, 'test', 'test.proto'), text);
  await writeFile(join(directory.path, 'buf.yaml'), BUF_CONFIGURATION);
  const output = join(directory.path, 'set.binpb');
  await buildDescriptorSet(directory.path, output);
  return createFileRegistry(fromBinary(FileDescriptorSetSchema, await readFile(output)));
}

/** Compiles all protos of a folder; rejects with buf's words when they are wrong. */
export async function buildDescriptorSet(folder: string, output: string): Promise<void> {
  const buf = join(packageRoot(), 'node_modules', '.bin', 'buf');
  await run(buf, ['build', '.', '--as-file-descriptor-set', '--output', output], {
    cwd: folder,
    timeoutMs: BUF_TIMEOUT_MS,
  });
}

/** The contract of test/fixtures/gateway/library.proto. */
export async function compileLibrary(): Promise<FileRegistry> {
  const path = join(packageRoot(), 'test', 'fixtures', 'gateway', 'library.proto');
  return compileProto(await readFile(path, 'utf8'));
}
