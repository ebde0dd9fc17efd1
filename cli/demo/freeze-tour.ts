/**
 * The part of the tour that stops time: a program with a variable in its memory
 * is paused, resumed, snapshotted and forked, and asked after each.
 */
import { randomBytes } from 'node:crypto';
import type { ForkResult, Sandbox, WrennClient } from '../../clients/typescript/index.js';
import { CliError } from '../failure.js';
import { formatSize } from '../output/size.js';
import { askKeeper, requireKept, startKeeper } from './keeper.js';
import type { Steps } from './steps.js';

const SNAPSHOT_NAME = 'demo';
const COPIES = 3;
const WORD_BYTES = 4;

/** What all parts of this tour are given. */
interface Tour {
  client: WrennClient;
  /** Sandbox in which the program runs. */
  sandboxId: string;
  /** Its variable. */
  word: string;
  steps: Steps;
  signal: AbortSignal;
}

/** @throws WrennApiError or CliError when a step does not do what it should. */
export async function takeFreezeTour(
  client: WrennClient,
  sandboxId: string,
  steps: Steps,
  signal: AbortSignal,
): Promise<void> {
  const word = randomBytes(WORD_BYTES).toString('hex');
  const tour: Tour = { client, sandboxId, word, steps, signal };
  await steps.run('start a program that keeps a word in its memory', () =>
    startKeeper(client, sandboxId, word, signal),
  );
  await ask(tour, sandboxId, 'ask for the word', 1);

  await pauseAndResume(tour);
  await ask(tour, sandboxId, 'ask the same program again', 2);
  await useSnapshot(tour);
  await useFork(tour);
}

async function pauseAndResume({ client, sandboxId, steps, signal }: Tour): Promise<void> {
  await steps.run('pause', () => client.sandboxes.pause(sandboxId, { signal }), 'pause');
  const generations = await client.sandboxes.generations(sandboxId, { signal });
  const newest = generations.at(-1);
  if (!newest) throw new CliError('a paused sandbox has no generation');
  const [memory, disk] = [newest.memoryBytes, newest.diskBytes].map(formatSize);
  steps.show(`on the host's disk: ${memory} of memory, ${disk} of disk`);

  const { steps: inGuest } = await steps.run(
    'resume',
    () => client.sandboxes.resume(sandboxId, {}, { signal }),
    'resume',
  );
  steps.show(`done in the guest: ${inGuest.map(({ name }) => name).join(', ')}`);
}

async function useSnapshot(tour: Tour): Promise<void> {
  const { client, sandboxId, steps, signal } = tour;
  const snapshot = await steps.run(
    'snapshot it while it runs',
    () => client.snapshots.create(sandboxId, SNAPSHOT_NAME, { signal }),
    'snapshot of a running sandbox',
  );
  steps.show(`${snapshot.name}: ${formatSize(snapshot.sizeBytes)} on the host's disk`);

  const copy = await steps.run(
    'create a sandbox from the snapshot',
    () => client.sandboxes.create({ template: SNAPSHOT_NAME }, { signal }),
    'create from the snapshot',
  );
  await ask(tour, copy.sandboxId, 'ask the program in it', 3);
  await steps.run('delete it, and then the snapshot', async () => {
    await client.sandboxes.delete(copy.sandboxId, { signal });
    await client.snapshots.delete(snapshot.snapshotId, { signal });
  });
}

/** The copies go on by themselves: what one is asked, the others do not count. */
async function useFork(tour: Tour): Promise<void> {
  const { client, sandboxId, steps, signal } = tour;
  const { results } = await steps.run(
    `fork it into ${COPIES} copies`,
    () => client.sandboxes.fork(sandboxId, COPIES, { signal }),
    `fork into ${COPIES} copies, all of them running`,
  );
  const copies = results.map(requireCopy);
  for (const [index, { sandboxId: id }] of copies.entries()) {
    await ask(tour, id, `ask the program in copy ${index + 1}`, 3);
  }
  await ask(tour, sandboxId, 'ask the one that was copied', 3);
  await steps.run('delete the copies', async () => {
    await Promise.all(copies.map(({ sandboxId: id }) => client.sandboxes.delete(id, { signal })));
  });
}

function requireCopy({ result }: ForkResult): Sandbox {
  if (result?.$case === 'sandbox') return result.value;
  throw new CliError(`a copy was not started: ${result?.value.message ?? 'nobody says why'}`);
}

/** @param asked how often the program must say that it has been asked. */
async function ask(tour: Tour, sandboxId: string, name: string, asked: number): Promise<void> {
  const { client, word, steps, signal } = tour;
  const kept = await steps.run(name, () => askKeeper(client, sandboxId, signal));
  requireKept(kept, { word, asked });
  steps.show(`${kept.word}, asked ${asked} ${asked === 1 ? 'time' : 'times'}`);
}
