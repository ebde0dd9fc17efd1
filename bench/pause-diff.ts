/**
 * `npm run bench -- pause-diff`: what a pause of a real machine writes, against
 * the pages that have truly changed, which a comparison of all bytes tells.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { randomId } from '../lib/ids/random-id.js';
import { addon } from '../native/addon/binding.js';
import { type BareMachineRestored, restoreByHand } from './bare-restore.js';
import { makeTemplate } from './create.js';
import { type GenerationFiles, readOnlyGeneration, readPaused } from './generation-files.js';
import { openGuestLink } from './guest-link.js';
import { allocatedBytes, BLOCK_BYTES } from './guest-memory.js';
import type { BenchContext } from './measure.js';
import type { BenchPlatform } from './platform.js';
import { acceleratorOf, withPlatform } from './platform-run.js';
import { addressOfFile } from './process-memory.js';
import type { BenchReport, CountReport } from './report.js';
import { createAtAgent, destroyAtAgent, execAtAgent, type FirstCommand } from './restore-arms.js';
import { withWorkFolder } from './work-folder.js';

const MIB = 1024 * 1024;
const PIECE_BYTES = 4 * MIB;
const CALL_TIMEOUT_MS = 300_000;
const GENERATION = 1;
const WRITE: FirstCommand = {
  cmd: 'dd',
  args: ['if=/dev/urandom', 'of=/dev/shm/written', 'bs=1M', 'count=8'],
};

export function benchPauseDiff(context: BenchContext): Promise<BenchReport> {
  return withPlatform('bench/pause-diff.ts', context, async (platform, machine) => {
    const accelerator = acceleratorOf(machine);
    const { progress, signal } = context;
    progress.show('making a warm template');
    await makeTemplate(platform, signal);
    const files = await readOnlyGeneration(platform.config.stateDirectory, 'warm');
    await using link = await openGuestLink();
    progress.show('scanning a machine that stands still');
    const counts = await withWorkFolder(async (folder) => {
      const directory = join(folder, 'machine');
      const bare = { directory, files, accelerator, tapName: link.tapName };
      await using restored = (await restoreByHand(bare, signal)).machine;
      await restored.guest.exec(WRITE.cmd, WRITE.args, signal);
      return await scanStopped(restored, files, join(folder, 'diff'));
    });
    progress.show('pausing a sandbox');
    return { groups: [], counts: [...counts, ...(await pauseOnce(platform, files, signal))] };
  });
}

/** The addon's scan, and the oracle, of the same instant. */
async function scanStopped(
  { pid, qmp }: BareMachineRestored,
  { memoryPaths, memoryMb }: GenerationFiles,
  outputPath: string,
): Promise<CountReport[]> {
  const [path = ''] = memoryPaths;
  const sizeBytes = memoryMb * MIB;
  await qmp.execute('stop');
  const address = await addressOfFile(pid, path);
  await using parent = await open(path);
  await using output = await open(outputPath, 'wx+');
  const runs = Uint32Array.of(0, sizeBytes / BLOCK_BYTES, 0, 0);
  const { writtenBlocks, scannedBlocks } = await addon().scanMemory({
    source: { kind: 'private', pid, address },
    sizeBytes,
    parent: { files: [parent.fd], runs, checksums: new Uint32Array() },
    outputFd: output.fd,
  });
  await using memory = await open(`/proc/${pid}/mem`);
  // Addresses have 47 bits, which a number holds exactly.
  const after = (position: number, piece: Buffer) =>
    readFully(memory, piece, Number(address) + position);
  const changed = await countChanged(after, parent, sizeBytes);
  return [
    ratio('scan of a stopped machine: blocks written / truly changed', writtenBlocks, changed),
    ratio(
      'scan of a stopped machine: bytes written / truly changed',
      await allocatedBytes(output),
      changed * BLOCK_BYTES,
    ),
    { name: 'truly changed blocks', value: changed },
    { name: 'blocks that were looked at', value: scannedBlocks },
  ];
}

/** What lies on the disk after a pause by the agent. */
async function pauseOnce(
  { agent, config }: BenchPlatform,
  template: GenerationFiles,
  signal: AbortSignal,
): Promise<CountReport[]> {
  const sandboxId = randomId();
  const options = { timeoutMs: CALL_TIMEOUT_MS, signal };
  await createAtAgent(agent, { sandboxId }, signal);
  await execAtAgent(agent, sandboxId, WRITE, signal);
  await agent.pauseSandbox({ sandboxId, generation: GENERATION }, options);
  const { memoryPaths, memoryMb } = await readPaused(config.stateDirectory, sandboxId);
  const [path = ''] = memoryPaths.filter((one) => !template.memoryPaths.includes(one));
  await using parent = await open(template.memoryPaths[0] ?? '');
  await using own = await open(path);
  const after = (position: number, piece: Buffer) => readFully(own, piece, position);
  const changed = await countChanged(after, parent, memoryMb * MIB);
  const bytes = await allocatedBytes(own);
  await destroyAtAgent(agent, sandboxId, signal);
  return [
    ratio('pause by the agent: bytes on the disk / truly changed', bytes, changed * BLOCK_BYTES),
  ];
}

function ratio(name: string, value: number, least: number): CountReport {
  return { name, value: value / least, ideal: 1 };
}

/** Blocks that are not zero and differ from those of the parent. */
async function countChanged(
  readAfter: (position: number, piece: Buffer) => Promise<void>,
  parent: FileHandle,
  sizeBytes: number,
): Promise<number> {
  const zero = Buffer.alloc(BLOCK_BYTES);
  const [before, after] = [Buffer.alloc(PIECE_BYTES), Buffer.alloc(PIECE_BYTES)];
  let changed = 0;
  for (let position = 0; position < sizeBytes; position += PIECE_BYTES) {
    await readAfter(position, after);
    await readFully(parent, before, position);
    for (let at = 0; at < PIECE_BYTES; at += BLOCK_BYTES) {
      const block = after.subarray(at, at + BLOCK_BYTES);
      const differs = !block.equals(before.subarray(at, at + BLOCK_BYTES));
      if (differs && !block.equals(zero)) changed += 1;
    }
  }
  return changed;
}

async function readFully(file: FileHandle, piece: Buffer, position: number): Promise<void> {
  const { bytesRead } = await file.read(piece, 0, piece.length, position);
  if (bytesRead !== piece.length) throw new Error(`${bytesRead} bytes at ${position}`);
}
