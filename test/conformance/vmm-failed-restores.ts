/** Restores that must fail, and leave nothing; a part of the suite of vmm-snapshots.ts. */
import { readFile, truncate, writeFile } from 'node:fs/promises';
import { expect } from 'chai';
import type { MachineRecord, RestoreSpec } from '../../agent/vmm/driver.js';
import { hasReason } from '../../lib/errors/index.js';
import { failureOf, type MachineLab, never, type Saved } from './machine-lab.js';

export function describeFailedRestores(context: () => { lab: MachineLab; saved: Saved }): void {
  const damages: [string, (path: string) => Promise<void>][] = [
    ['cut off', async (path) => truncate(path, Math.floor((await readFile(path)).length / 2))],
    ['something else', (path) => writeFile(path, 'not a state of devices\n')],
    ['empty', (path) => writeFile(path, '')],
  ];
  for (const [damage, harm] of damages) {
    it(`leaves nothing of a restore whose device state is ${damage}`, async () => {
      const { lab, saved } = context();
      const statePath = lab.newPath();
      await writeFile(statePath, await readFile(saved.statePath));
      await harm(statePath);

      const { error, leftovers } = await failedRestore(lab, {
        ...(await lab.successor(saved)),
        statePath,
      });

      expect(hasReason(error, 'VMM_FAILED')).to.equal(true);
      expect((error as Error).cause).to.be.an('error');
      expect(leftovers).to.deep.equal([]);
    });
  }

  it('leaves nothing of a restore whose memory is gone', async () => {
    const { lab, saved } = context();
    const memory = { kind: 'file', path: lab.newPath() } as const;

    const { error, leftovers } = await failedRestore(lab, {
      ...(await lab.successor(saved)),
      memory,
    });

    expect(hasReason(error, 'VMM_FAILED')).to.equal(true);
    expect(leftovers).to.deep.equal([]);
  });

  it('leaves nothing of a restore that was cancelled before', async () => {
    const { lab, saved } = context();
    const reason = new Error('cancelled');

    const { error, leftovers } = await failedRestore(
      lab,
      await lab.successor(saved),
      undefined,
      AbortSignal.abort(reason),
    );

    expect(error).to.equal(reason);
    expect(leftovers).to.deep.equal([]);
  });

  it('leaves nothing of a restore that is cancelled when its process runs', async () => {
    const { lab, saved } = context();
    const reason = new Error('cancelled');
    const cancel = new AbortController();
    const cancelAtStart = async ({ pid }: MachineRecord) => {
      if (pid > 0) cancel.abort(reason);
    };

    const spec = await lab.successor(saved);
    const { error, leftovers } = await failedRestore(lab, spec, cancelAtStart, cancel.signal);

    expect(error).to.equal(reason);
    expect(leftovers).to.deep.equal([]);
  });

  for (const call of [1, 2]) {
    it(`leaves nothing of a restored machine whose record ${call} cannot be kept`, async () => {
      const { lab, saved } = context();
      let calls = 0;

      const { error, leftovers } = await failedRestore(
        lab,
        await lab.successor(saved),
        async () => {
          calls += 1;
          if (calls === call) throw new Error('no room for the record');
        },
      );

      expect(error).to.be.an('error');
      expect(leftovers).to.deep.equal([]);
    });
  }
}

/** The error of a restore that must fail, and what it left. */
async function failedRestore(
  lab: MachineLab,
  spec: RestoreSpec,
  recordBefore: (record: MachineRecord) => Promise<void> = async () => undefined,
  signal = never(),
) {
  const restoring = lab.fixture.driver.restore(spec, recordBefore, signal);
  const error = await failureOf(restoring.then((machine) => lab.keep(machine)));
  return { error, leftovers: await lab.fixture.leftovers(spec) };
}
