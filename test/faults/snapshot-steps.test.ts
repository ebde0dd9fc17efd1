/**
 * Every step of pause, resume, snapshot, fork, create and delete fails once, on
 * fake machines with the real store of generations: nothing leaks, the state
 * told is true, what the guest had is there, and the retry works.
 */
import { expect } from 'chai';
import { FAULT_STEPS, type FaultStep } from '../../lib/faults/fault-plan.js';
import { command, createOptions, FakeHost } from '../support/fake-host.js';
import { readNote, writeNote } from '../support/guest-note.js';

const { signal } = new AbortController();
const ID = 'sandbox1';
const CHILD = 'childaaa';
const SNAPSHOT = 'snapshot1';
const NOTE = 'kept';
const TEST_TIMEOUT_MS = 240_000;

interface Operation {
  /** Brings a host to where the operation can be done. */
  prepare(fake: FakeHost): Promise<unknown>;
  run(fake: FakeHost): Promise<unknown>;
  /** Whether what was asked for has come about. */
  isDone(fake: FakeHost): boolean;
  warmTemplatesMax?: number;
  readyMachinesMax?: number;
}

const create = (fake: FakeHost, options = {}) =>
  fake.manager.create(createOptions({ memoryMb: 128, ...options }), signal);

const createWithNote = async (fake: FakeHost) => {
  await create(fake);
  await writeNote(fake, ID, NOTE);
};

const createPaused = async (fake: FakeHost) => {
  await createWithNote(fake);
  await fake.manager.pause(ID, 2);
};

const createResumed = async (fake: FakeHost) => {
  await createPaused(fake);
  await fake.manager.resume(ID, 3, false);
};

const snapshot = (fake: FakeHost) =>
  fake.manager.createSnapshot({ sandboxId: ID, snapshotId: SNAPSHOT, name: 'mine' });

/** Copies under new ids each time; rejects when one of them has failed. */
const fork = async (fake: FakeHost) => {
  const known = fake.live().length;
  const ids = [`childa${known}aa`, `childb${known}bb`];
  for (const result of await fake.manager.fork(ID, ids, signal)) {
    if (result.kind === 'error') throw result.error;
  }
};

const runs = (fake: FakeHost, id: string) =>
  fake.live().some((sandbox) => sandbox.id === id && sandbox.entry.phase === 'running');
const isPaused = (fake: FakeHost) => fake.paused().some(({ sandboxId }) => sandboxId === ID);
const isGone = (fake: FakeHost) => fake.manager.list().length === 0;
const hasSnapshot = (fake: FakeHost) => fake.host.snapshots.ref('snapshot', SNAPSHOT) !== undefined;
const hasCopies = (fake: FakeHost) => fake.live().filter(({ id }) => id !== ID).length >= 2;

const OPERATIONS: Record<string, Operation> = {
  'create from a warm template': {
    prepare: async (fake) => {
      await create(fake);
      await fake.manager.destroy(ID, 1);
    },
    run: (fake) => create(fake, { generation: 2 }),
    isDone: (fake) => runs(fake, ID),
    warmTemplatesMax: 1,
  },
  'create that makes the warm template': {
    prepare: async () => undefined,
    run: (fake) => create(fake),
    isDone: (fake) => runs(fake, ID),
    warmTemplatesMax: 1,
  },
  'create that claims a ready machine': {
    prepare: async (fake) => {
      await create(fake);
      await fake.manager.readyMachines();
      await fake.manager.destroy(ID, 1);
    },
    run: (fake) => create(fake, { generation: 2 }),
    isDone: (fake) => runs(fake, ID),
    warmTemplatesMax: 1,
    readyMachinesMax: 1,
  },
  'create from a snapshot': {
    prepare: async (fake) => {
      await createWithNote(fake);
      await snapshot(fake);
    },
    run: (fake) => create(fake, { sandboxId: CHILD, snapshotId: SNAPSHOT }),
    isDone: (fake) => runs(fake, CHILD),
  },
  pause: { prepare: createWithNote, run: (fake) => fake.manager.pause(ID, 2), isDone: isPaused },
  'second pause': {
    prepare: createResumed,
    run: (fake) => fake.manager.pause(ID, 4),
    isDone: isPaused,
  },
  resume: {
    prepare: createPaused,
    run: (fake) => fake.manager.resume(ID, 3, false),
    isDone: (fake) => runs(fake, ID),
  },
  'snapshot of a running sandbox': {
    prepare: createWithNote,
    run: snapshot,
    isDone: hasSnapshot,
  },
  'snapshot of a paused sandbox': { prepare: createPaused, run: snapshot, isDone: hasSnapshot },
  'fork of a running sandbox': { prepare: createWithNote, run: fork, isDone: hasCopies },
  'fork of a paused sandbox': { prepare: createPaused, run: fork, isDone: hasCopies },
  'delete of a paused sandbox': {
    prepare: createPaused,
    run: (fake) => fake.manager.destroy(ID, 3),
    isDone: isGone,
  },
  'delete of a resumed sandbox': {
    prepare: createResumed,
    run: (fake) => fake.manager.destroy(ID, 4),
    isDone: isGone,
  },
};

for (const [name, operation] of Object.entries(OPERATIONS)) {
  describe(`${name}, when a step fails`, function () {
    this.timeout(TEST_TIMEOUT_MS);

    it('leaks nothing, tells the truth and can be done again, whichever step it is', async () => {
      const steps = await stepsReached(operation);
      expect(steps).to.not.deep.equal([]);
      for (const [step, times] of steps) {
        for (let occurrence = 1; occurrence <= times; occurrence += 1) {
          await failOnce(operation, step, occurrence);
        }
      }
    });

    it('is finished or undone by the next agent when the agent dies at any step', async () => {
      const ownSteps = (await stepsReached(operation)).filter(([step]) => isOwnStep(step));
      for (const [step] of ownSteps) await dieAt(operation, step);
    });
  });
}

/** Whether it is the operation itself that stands at the step: not its guest, nor who tidies up behind it. */
function isOwnStep(step: FaultStep): boolean {
  return !step.startsWith('guest.') && !step.endsWith('.collect');
}

/** Each step that the operation goes through, and how often. */
async function stepsReached(operation: Operation): Promise<[FaultStep, number][]> {
  await using fake = await prepared(operation);
  const before = FAULT_STEPS.map((step) => fake.faults.timesReached(step));
  await operation.run(fake);
  await fake.manager.settled();
  return FAULT_STEPS.map((step, index): [FaultStep, number] => [
    step,
    fake.faults.timesReached(step) - (before[index] ?? 0),
  ]).filter(([, times]) => times > 0);
}

async function failOnce(operation: Operation, step: FaultStep, occurrence: number): Promise<void> {
  const label = `${step} no. ${occurrence} failed`;
  await using fake = await prepared(operation);
  for (let earlier = 1; earlier < occurrence; earlier += 1) fake.faults.delayNext(step, 0);
  fake.faults.failNext(step);
  await operation.run(fake).catch(() => undefined);
  await fake.manager.settled();
  await expectTruth(fake, label);
  await expectRetry(fake, operation, label);
  await expectNothingLeft(fake, label);
}

async function dieAt(operation: Operation, step: FaultStep): Promise<void> {
  const label = `died at ${step}`;
  await using fake = await prepared(operation);
  const died = fake.faults.dieAt(step);
  void operation.run(fake).catch(() => undefined);
  await died;
  fake.faults.revive();
  await fake.takeOver();
  await expectTruth(fake, label);
  await expectRetry(fake, operation, label);
  await expectNothingLeft(fake, label);
}

async function prepared(operation: Operation): Promise<FakeHost> {
  const { warmTemplatesMax = 0, readyMachinesMax = 0 } = operation;
  const fake = await FakeHost.open({ warmTemplatesMax, readyMachinesMax });
  await operation.prepare(fake);
  await fake.manager.settled();
  return fake;
}

/** Whoever is told to run answers; whoever is told to be paused comes back with what it had. */
async function expectTruth(fake: FakeHost, label: string): Promise<void> {
  for (const { id, entry } of fake.live()) {
    expect(entry.phase, `${label}: phase of ${id}`).to.be.oneOf(['running', 'stopping']);
    if (entry.phase === 'running') await withLabel(`${label}: ${id} runs`, echo(fake, id));
  }
  for (const { sandboxId, generation } of fake.paused()) {
    const back = fake.manager.resume(sandboxId, generation, false);
    await withLabel(`${label}: ${sandboxId} comes back`, back);
    expect(await readNote(fake, sandboxId), label).to.equal(NOTE);
    await fake.manager.pause(sandboxId, generation);
  }
}

async function expectRetry(fake: FakeHost, operation: Operation, label: string): Promise<void> {
  // What could not be freed keeps a sandbox from being used until it is freed.
  for (const { id, entry } of fake.live()) {
    if (entry.phase === 'stopping') await fake.manager.finish(id);
  }
  if (!operation.isDone(fake)) await withLabel(`${label}: retry`, operation.run(fake));
  expect(operation.isDone(fake), `${label}: done`).to.equal(true);
}

/** Nothing is left but warm templates, each with what belongs to it. */
async function expectNothingLeft(fake: FakeHost, label: string): Promise<void> {
  await fake.manager.deleteSnapshot(SNAPSHOT);
  // The last of them is not filled up again.
  await fake.manager.readyMachines();
  const { entries } = await fake.host.ledger.read();
  const ids = [...entries, ...fake.paused()].map(({ sandboxId }) => sandboxId);
  for (const id of ids) await withLabel(`${label}: delete`, fake.manager.destroy(id, 100));
  const { refs = [], generations, disks, memory, ...others } = await fake.held();
  for (const [what, held] of Object.entries(others))
    expect(held, `${label}: ${what}`).to.deep.equal([]);
  expect(
    refs.every((ref) => String(ref).startsWith('warm.')),
    `${label}: ${refs}`,
  ).to.equal(true);
  for (const [what, held] of Object.entries({ generations, disks, memory })) {
    expect(held, `${label}: ${what}`).to.have.length(refs.length);
  }
}

async function echo(fake: FakeHost, id: string): Promise<void> {
  await fake.manager.withGuest(id, (guest) => guest.exec(command('echo', 'hello'), signal));
}

async function withLabel<T>(label: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw new Error(label, { cause: error });
  }
}
