/**
 * The memory of restored machines, lazily: a file that the VMM maps when one
 * file shows all of it, which is the fastest by far, else a page server.
 *
 *     <run directory>/memory.sock       where the VMM takes its memory
 *     <run directory>/memory.removed    which blocks it has given back
 */
import { rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { addon, type MappedMemory } from '../../native/addon/binding.js';
import { withOpenFiles } from './memory-files.js';
import { PagesServer } from './pages-server.js';
import type { MemoryProvider, MemoryRecord, ServeRequest } from './provider.js';
import { serveFile } from './served-file.js';
import { MemoryUnavailable } from './unavailable.js';

/**
 * Blocks that one fault brings. Measured with the VMM and the server on one processor: 16 take 3.4
 * times as long as one and reach 0.7 of the throughput of the largest copies. Larger ones mostly
 * bring what a guest does not use.
 */
const RUN_BLOCKS_MAX = 16;
/** From `serve` until the VMM, which is started after it, has taken its memory. */
const HANDSHAKE_TIMEOUT_MS = 60_000;
/** Type of a file system that is memory, as statfs(2) has it. */
const TMPFS_TYPE = 0x01021994;

export function createMemoryProvider(): MemoryProvider {
  return {
    async serve(request, onRecord) {
      const path = await flatFile(request);
      if (path !== undefined) {
        const served = serveFile(path);
        await onRecord(served.record);
        return served;
      }
      return await servePages(request, onRecord);
    },
    async adopt(request, record, pid) {
      if (record.kind === 'pages') return await adoptPages(request, record, pid);
      const [path] = request.memory.paths;
      if (path === undefined) throw unavailable('the memory has no file');
      return serveFile(path);
    },
  };
}

/** The path of the one file that is the memory, if there is one. */
async function flatFile({ memory }: ServeRequest): Promise<string | undefined> {
  const [path] = memory.paths;
  if (path === undefined || memory.paths.length > 1) return undefined;
  // There a mapping fills the holes that it reads, and ends the VMM when there is no room for them.
  if ((await statfs(path)).type === TMPFS_TYPE) return undefined;
  return (await withOpenFiles(memory, (mapped) => addon().isFlatMemory(mapped))) ? path : undefined;
}

async function servePages(
  request: ServeRequest,
  onRecord: (record: MemoryRecord) => Promise<void>,
): Promise<PagesServer> {
  const socketPath = join(request.runDirectory, 'memory.sock');
  const removedPath = join(request.runDirectory, 'memory.removed');
  await rm(removedPath, { force: true });
  const { workingSet } = request;
  const record: MemoryRecord = { kind: 'pages', regions: [], removedPath };
  await onRecord(record);
  const native = await withOpenFiles(request.memory, (memory) =>
    addon().startPageServer({
      ...serverOptions(request, memory, removedPath),
      socketPath,
      pid: 0,
      handshakeTimeoutMs: HANDSHAKE_TIMEOUT_MS,
      ...(workingSet && { workingSet }),
    }),
  );
  const { paths } = request.memory;
  return new PagesServer({ native, paths, socketPath, record, onRecord, replayed: workingSet });
}

async function adoptPages(
  request: ServeRequest,
  record: MemoryRecord,
  pid: number,
): Promise<PagesServer> {
  if (record.regions.length === 0) throw unavailable('the VMM has never taken its memory');
  const regions = record.regions.map((region) => ({ ...region, address: BigInt(region.address) }));
  const socketPath = join(request.runDirectory, 'memory.sock');
  const native = await withOpenFiles(request.memory, (memory) =>
    addon().adoptPageServer({
      ...serverOptions(request, memory, record.removedPath),
      pid,
      regions,
    }),
  );
  // Its record is on disk already.
  const onRecord = async () => undefined;
  const { paths } = request.memory;
  return new PagesServer({ native, paths, socketPath, record, onRecord });
}

function serverOptions(request: ServeRequest, memory: MappedMemory, removedPath: string) {
  const { sizeBytes } = request.memory;
  return { uid: request.uid, memory, sizeBytes, runBlocksMax: RUN_BLOCKS_MAX, removedPath };
}

function unavailable(message: string): MemoryUnavailable {
  return new MemoryUnavailable({ kind: 'failed', message });
}
