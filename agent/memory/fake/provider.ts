/**
 * The memory of fake machines: one private file for each, with every block at
 * its own address, made by plain reads. It checks checksums as the real one
 * does, but all of them and at once.
 */
import { type FileHandle, open, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { FaultPlan } from '../../../lib/faults/fault-plan.js';
import { addon, RUN_FIELDS, SOURCE_ZERO } from '../../../native/addon/binding.js';
import { withOpenFiles } from '../memory-files.js';
import type { MemoryFiles, MemoryProvider, ServedMemory } from '../provider.js';
import { serveFile } from '../served-file.js';
import { damagedBlock } from '../unavailable.js';

const BLOCK_BYTES = 4096;
const FILE_NAME = 'served.fake';

export interface FakeMemoryProvider extends MemoryProvider {
  readonly faults: FaultPlan;
  /** Files of the memories that are served; empty when nothing has leaked. */
  held(): string[];
}

export function createFakeMemoryProvider(options: { faults?: FaultPlan } = {}): FakeMemoryProvider {
  const { faults = new FaultPlan() } = options;
  const held = new Set<string>();

  function serveHeld(path: string): ServedMemory {
    held.add(path);
    return serveFile(path, async () => {
      await faults.reach('memory.close');
      held.delete(path);
    });
  }

  return {
    faults,
    async serve({ memory, runDirectory }, onRecord) {
      await faults.reach('memory.serve');
      const path = join(runDirectory, FILE_NAME);
      await flatten(memory, path);
      const served = serveHeld(path);
      try {
        await onRecord(served.record);
      } catch (error) {
        held.delete(path);
        await rm(path, { force: true });
        throw error;
      }
      return served;
    },
    async adopt({ runDirectory }) {
      await faults.reach('memory.adopt');
      const path = join(runDirectory, FILE_NAME);
      await stat(path);
      return serveHeld(path);
    },
    held: () => [...held],
  };
}

/** Writes the memory to a new file, which is gone again when that fails. */
async function flatten(memory: MemoryFiles, path: string): Promise<void> {
  const output = await open(path, 'w', 0o600);
  try {
    await output.truncate(memory.sizeBytes);
    await withOpenFiles(memory, (_mapped, files) => copyRuns(memory, files, output));
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  } finally {
    await output.close();
  }
}

async function copyRuns(
  memory: MemoryFiles,
  files: readonly FileHandle[],
  output: FileHandle,
): Promise<void> {
  let stored = 0;
  for (const [block, count, source, sourceBlock] of eachRun(memory.runs)) {
    const file = files[source];
    if (source === SOURCE_ZERO || !file) continue;
    for (let index = 0; index < count; index++) {
      const content = Buffer.alloc(BLOCK_BYTES);
      const { bytesRead } = await file.read({
        buffer: content,
        position: (sourceBlock + index) * BLOCK_BYTES,
      });
      const checksum = memory.checksums[stored++];
      const isWrong = checksum !== undefined && addon().crc32c(content) !== checksum;
      if (bytesRead < BLOCK_BYTES || isWrong) {
        throw damagedBlock(memory.paths[source] ?? '', sourceBlock + index);
      }
      await output.write(content, 0, BLOCK_BYTES, (block + index) * BLOCK_BYTES);
    }
  }
}

type Run = [block: number, count: number, source: number, sourceBlock: number];

function* eachRun(runs: Uint32Array): Generator<Run> {
  for (let at = 0; at < runs.length; at += RUN_FIELDS) {
    yield [...runs.subarray(at, at + RUN_FIELDS)] as Run;
  }
}
