import { expect } from 'chai';
import fc from 'fast-check';
import type { SandboxState } from '../store/sandbox.js';
import {
  type Action,
  type Desired,
  type Memory,
  type Observed,
  type ObservedState,
  ORPHANS_PER_PASS_MIN,
  ORPHANS_PER_PASS_SHARE,
  type PlanInput,
  plan,
} from './plan.js';

const NOW_MS = 1_000_000_000;
const GRACE_MS = 60_000;
const BOOT_TIMEOUT_MS = 600_000;
const LONG_AGO_MS = NOW_MS - 10 * BOOT_TIMEOUT_MS;

const STATES: SandboxState[] = [
  ...(['STARTING', 'RUNNING', 'PAUSING', 'PAUSED', 'RESUMING'] as const),
  ...(['DELETING', 'LOST', 'FAILED', 'DELETED'] as const),
];
const OBSERVED_STATES: ObservedState[] = [
  ...(['STARTING', 'RUNNING', 'PAUSING', 'PAUSED', 'RESUMING'] as const),
  ...(['STOPPING', 'ENDED'] as const),
];
const IDS = Array.from({ length: 30 }, (_, index) => `sandbox${index}`);

/** Actions that change nothing on the host. */
const ROW_ONLY: Action['kind'][] = ['mark-running', 'mark-paused', 'mark-lost'];
/** States of rows whose sandbox somebody may still want. */
const ALIVE: SandboxState[] = ['STARTING', 'RUNNING', 'PAUSING', 'PAUSED', 'RESUMING'];

describe('plan', () => {
  describe('of one sandbox', () => {
    // Row, what the host says, and what has to be done at the first pass and at the second.
    const cases: [
      SandboxState | 'no row',
      ObservedState | 'absent' | 'timed out',
      string,
      string,
    ][] = [
      ['STARTING', 'absent', 'nothing', 'fail SANDBOX_LOST'],
      ['STARTING', 'STARTING', 'fail BOOT_TIMEOUT', 'fail BOOT_TIMEOUT'],
      ['STARTING', 'RUNNING', 'mark-running', 'mark-running'],
      ['STARTING', 'ENDED', 'fail VMM_EXITED', 'fail VMM_EXITED'],
      ['STARTING', 'timed out', 'expire', 'expire'],
      ['RUNNING', 'absent', 'nothing', 'mark-lost'],
      ['RUNNING', 'STARTING', 'nothing', 'nothing'],
      ['RUNNING', 'RUNNING', 'nothing', 'nothing'],
      ['RUNNING', 'PAUSING', 'nothing', 'nothing'],
      ['RUNNING', 'PAUSED', 'mark-paused', 'mark-paused'],
      ['RUNNING', 'RESUMING', 'nothing', 'nothing'],
      ['RUNNING', 'STOPPING', 'nothing', 'nothing'],
      ['RUNNING', 'ENDED', 'fail VMM_EXITED', 'fail VMM_EXITED'],
      ['RUNNING', 'timed out', 'expire', 'expire'],
      ['STARTING', 'PAUSED', 'mark-paused', 'mark-paused'],
      ['STARTING', 'RESUMING', 'nothing', 'nothing'],
      ['PAUSING', 'absent', 'nothing', 'mark-lost'],
      ['PAUSING', 'RUNNING', 'mark-running', 'mark-running'],
      ['PAUSING', 'PAUSING', 'nothing', 'nothing'],
      ['PAUSING', 'PAUSED', 'mark-paused', 'mark-paused'],
      ['PAUSING', 'STOPPING', 'nothing', 'nothing'],
      ['PAUSING', 'ENDED', 'fail VMM_EXITED', 'fail VMM_EXITED'],
      ['PAUSING', 'timed out', 'expire', 'expire'],
      ['PAUSED', 'absent', 'nothing', 'nothing'],
      ['PAUSED', 'RUNNING', 'mark-running', 'mark-running'],
      ['PAUSED', 'PAUSING', 'nothing', 'nothing'],
      ['PAUSED', 'PAUSED', 'nothing', 'nothing'],
      ['PAUSED', 'RESUMING', 'nothing', 'nothing'],
      ['PAUSED', 'STOPPING', 'nothing', 'nothing'],
      ['PAUSED', 'ENDED', 'fail VMM_EXITED', 'fail VMM_EXITED'],
      ['RESUMING', 'absent', 'nothing', 'mark-lost'],
      ['RESUMING', 'RUNNING', 'mark-running', 'mark-running'],
      ['RESUMING', 'RESUMING', 'nothing', 'nothing'],
      ['RESUMING', 'PAUSED', 'mark-paused', 'mark-paused'],
      ['RESUMING', 'ENDED', 'fail VMM_EXITED', 'fail VMM_EXITED'],
      ['DELETING', 'absent', 'finish-delete', 'finish-delete'],
      ['DELETING', 'RUNNING', 'finish-delete', 'finish-delete'],
      ['DELETING', 'PAUSED', 'finish-delete', 'finish-delete'],
      ['DELETING', 'ENDED', 'finish-delete', 'finish-delete'],
      ['LOST', 'absent', 'nothing', 'nothing'],
      ['LOST', 'RUNNING', 'mark-running', 'mark-running'],
      ['LOST', 'PAUSED', 'mark-paused', 'mark-paused'],
      ['LOST', 'ENDED', 'fail VMM_EXITED', 'fail VMM_EXITED'],
      ['FAILED', 'absent', 'nothing', 'nothing'],
      ['FAILED', 'RUNNING', 'destroy leftover', 'destroy leftover'],
      ['FAILED', 'PAUSED', 'destroy leftover', 'destroy leftover'],
      ['FAILED', 'ENDED', 'destroy leftover', 'destroy leftover'],
      ['DELETED', 'absent', 'nothing', 'nothing'],
      ['DELETED', 'RUNNING', 'destroy leftover', 'destroy leftover'],
      ['DELETED', 'PAUSED', 'destroy leftover', 'destroy leftover'],
      ['DELETED', 'timed out', 'destroy leftover', 'destroy leftover'],
      ['no row', 'RUNNING', 'nothing', 'destroy orphan'],
      ['no row', 'PAUSED', 'nothing', 'destroy orphan'],
      ['no row', 'ENDED', 'nothing', 'destroy orphan'],
    ];
    for (const [row, host, first, second] of cases) {
      it(`${row} and ${host} on the host: ${first}, then ${second}`, () => {
        const state = given({
          desired: row === 'no row' ? [] : [desired('sandbox', { state: row })],
          observed: host === 'absent' ? [] : [observed('sandbox', fieldsOf(host))],
        });
        const one = plan(state);
        const two = plan({ ...state, memory: one.memory });
        expect([describeAll(one.actions), describeAll(two.actions)]).to.deep.equal([first, second]);
      });
    }

    // What the host says may be of a time before the newest command.
    for (const [row, host, second] of [
      ['RUNNING', 'PAUSED', 'mark-paused'],
      ['PAUSED', 'RUNNING', 'mark-running'],
      ['PAUSING', 'RUNNING', 'mark-running'],
      ['RESUMING', 'PAUSED', 'mark-paused'],
    ] as const) {
      it(`${row} and ${host} of an older generation on the host: nothing, then ${second}`, () => {
        const state = given({
          desired: [desired('sandbox', { state: row, generation: 2 })],
          observed: [observed('sandbox', { state: host, generation: 1 })],
        });
        const one = plan(state);
        const two = plan({ ...state, memory: one.memory });
        expect([describeAll(one.actions), describeAll(two.actions)]).to.deep.equal([
          ...['nothing', second],
        ]);
      });
    }

    it('notes that a guest stands still for want of disk, once, and that it goes on', () => {
      for (const [row, host, action] of [
        [false, true, 'mark-running'],
        [true, true, 'nothing'],
        [true, false, 'mark-running'],
      ] as const) {
        const state = given({
          desired: [desired('sandbox', { diskFull: row })],
          observed: [observed('sandbox', { diskFull: host })],
        });
        expect(describeAll(plan(state).actions)).to.equal(action);
      }
    });

    it('waits for a boot, and for a start that the host does not know yet', () => {
      const young = desired('sandbox', { state: 'STARTING', createdAtMs: NOW_MS - GRACE_MS + 1 });
      for (const host of [[], [observed('sandbox', { state: 'STARTING' })]]) {
        const state = given({
          desired: [young],
          observed: host,
          memory: new Map([['sandbox', 9]]),
        });
        expect(plan(state).actions).to.deep.equal([]);
      }
    });

    it('needs the two passes in a row', () => {
      const absent = given({ desired: [desired('sandbox')], observed: [] });
      const first = plan(absent);
      const seen = plan({ ...absent, observed: [observed('sandbox')], memory: first.memory });
      const again = plan({ ...absent, memory: seen.memory });
      expect(again.actions).to.deep.equal([]);
    });
  });

  describe('whatever rows and hosts say', () => {
    it('does nothing after an answer that is missing or not complete, and forgets nothing', () => {
      const unknown = fc.constantFrom<Partial<PlanInput>>(
        { desired: undefined },
        { observed: undefined },
        { complete: false },
      );
      fc.assert(
        fc.property(anyInput, unknown, (input, gap) => {
          const { actions, memory } = plan({ ...input, ...gap });
          expect(actions).to.deep.equal([]);
          expect(memory).to.equal(input.memory);
        }),
      );
    });

    it('leaves alone what a call is working on', () => {
      fc.assert(
        fc.property(anyInput, (input) => {
          const busy = plan(input).actions.filter(({ id }) => input.inFlight.has(id));
          expect(busy).to.deep.equal([]);
        }),
      );
    });

    it('never ends on the host what the database holds as alive or paused, unless it ended or hangs', () => {
      fc.assert(
        fc.property(anyInput, (input) => {
          for (const action of plan(input).actions) {
            if (ROW_ONLY.includes(action.kind)) continue;
            const row = input.desired?.find(({ id }) => id === action.id);
            const host = input.observed?.find(({ id }) => id === action.id);
            if (!row || !ALIVE.includes(row.state)) continue;
            const isLate = NOW_MS - row.createdAtMs > BOOT_TIMEOUT_MS;
            const hangs = row.state === 'STARTING' && host?.state !== 'RUNNING' && isLate;
            expect(host === undefined || host.state === 'ENDED' || hangs).to.equal(true);
          }
        }),
      );
    });

    it('deletes an orphan only after two passes and the grace period, and only a few at once', () => {
      fc.assert(
        fc.property(anyInput, (input) => {
          const { actions } = plan(input);
          const orphans = actions.filter(
            (action) => 'cause' in action && action.cause === 'orphan',
          );
          const observedCount = input.observed?.length ?? 0;
          const cap = Math.max(ORPHANS_PER_PASS_MIN, observedCount * ORPHANS_PER_PASS_SHARE);
          expect(orphans.length).to.be.at.most(cap);
          for (const { id } of orphans) {
            const host = input.observed?.find((sandbox) => sandbox.id === id);
            expect(input.desired?.some((row) => row.id === id)).to.equal(false);
            expect(input.memory.get(id) ?? 0).to.be.at.least(1);
            expect(NOW_MS - (host?.createdAtMs ?? NOW_MS)).to.be.at.least(GRACE_MS);
          }
        }),
      );
    });

    it('deletes no orphan of a host on which the database has never placed anything', () => {
      fc.assert(
        fc.property(anyInput, (input) => {
          const { actions } = plan({ ...input, desired: [], anyKnown: false });
          expect(actions).to.deep.equal([]);
        }),
      );
    });

    it('never calls a paused sandbox lost, however long it is absent', () => {
      fc.assert(
        fc.property(anyInput, (input) => {
          for (const { id, kind } of plan(input).actions) {
            if (kind !== 'mark-lost') continue;
            const row = input.desired?.find((candidate) => candidate.id === id);
            expect(row?.state).to.be.oneOf(['RUNNING', 'PAUSING', 'RESUMING']);
          }
        }),
      );
    });

    it('calls paused only what it has seen paused, and running only what it has seen running', () => {
      fc.assert(
        fc.property(anyInput, (input) => {
          for (const { id, kind } of plan(input).actions) {
            const host = input.observed?.find((sandbox) => sandbox.id === id);
            if (kind === 'mark-paused') expect(host?.state).to.equal('PAUSED');
            if (kind === 'mark-running') expect(host?.state).to.equal('RUNNING');
          }
        }),
      );
    });

    it('calls nothing lost that it has seen, or missed only once', () => {
      fc.assert(
        fc.property(anyInput, (input) => {
          for (const action of plan(input).actions.filter(({ kind }) => kind === 'mark-lost')) {
            expect(input.observed?.some(({ id }) => id === action.id)).to.equal(false);
            expect(input.memory.get(action.id) ?? 0).to.be.at.least(1);
          }
        }),
      );
    });

    it('plans at most one action for a sandbox, and remembers only what is still in doubt', () => {
      fc.assert(
        fc.property(anyInput, (input) => {
          const { actions, memory } = plan(input);
          expect(new Set(actions.map(({ id }) => id)).size).to.equal(actions.length);
          if (!input.complete) return;
          const living = input.desired?.filter(({ state }) => state !== 'DELETED') ?? [];
          for (const id of memory.keys()) {
            const row = living.find((candidate) => candidate.id === id);
            const seen = input.observed?.find((sandbox) => sandbox.id === id);
            const isOlder = row && seen && seen.generation < row.generation;
            expect(isOlder || (row === undefined) !== (seen === undefined)).to.equal(true);
          }
        }),
      );
    });

    it('comes to rest: when all it asks for is done, it asks for nothing more', () => {
      fc.assert(
        fc.property(anyInput, (input) => {
          const nowMs = NOW_MS + 2 * BOOT_TIMEOUT_MS;
          let state: PlanInput = { ...input, complete: true, inFlight: new Set(), nowMs };
          for (let pass = 0; pass <= IDS.length + 1; pass += 1) {
            const { actions, memory } = plan(state);
            state = { ...carryOut(state, actions), memory };
          }
          expect(plan(state).actions).to.deep.equal([]);
        }),
      );
    });
  });
});

function given(fields: Partial<PlanInput>): PlanInput {
  return {
    desired: [],
    anyKnown: true,
    observed: [],
    complete: true,
    inFlight: new Set(),
    memory: new Map(),
    nowMs: NOW_MS,
    graceMs: GRACE_MS,
    bootTimeoutMs: BOOT_TIMEOUT_MS,
    ...fields,
  };
}

function desired(id: string, fields: Partial<Desired> = {}): Desired {
  const base = { id, generation: 1, createdAtMs: LONG_AGO_MS, diskFull: false };
  return { ...base, state: 'RUNNING', ...fields };
}

function observed(id: string, fields: Partial<Observed> = {}): Observed {
  const base = { id, generation: 1, createdAtMs: LONG_AGO_MS, diskFull: false };
  return { ...base, state: 'RUNNING', endReason: 'UNSPECIFIED', ...fields };
}

function fieldsOf(host: ObservedState | 'timed out'): Partial<Observed> {
  if (host === 'timed out') return { state: 'ENDED', endReason: 'SANDBOX_TIMEOUT' };
  return host === 'ENDED' ? { state: host, endReason: 'VMM_EXITED' } : { state: host };
}

function describeAll(actions: readonly Action[]): string {
  const [action, ...others] = actions;
  expect(others).to.deep.equal([]);
  if (!action) return 'nothing';
  if (action.kind === 'fail') return `fail ${action.reason}`;
  return action.kind === 'destroy' ? `destroy ${action.cause}` : action.kind;
}

/** What database and host look like after the actions have succeeded. */
function carryOut(input: PlanInput, actions: readonly Action[]): PlanInput {
  const rows = new Map(input.desired?.map((row) => [row.id, row]));
  const host = new Map(input.observed?.map((sandbox) => [sandbox.id, sandbox]));
  const become = (id: string, state: SandboxState) => {
    const row = rows.get(id);
    const diskFull = state === 'RUNNING' && host.get(id)?.diskFull === true;
    if (row) rows.set(id, { ...row, state, diskFull });
  };
  for (const { kind, id } of actions) {
    if (kind === 'mark-running') become(id, 'RUNNING');
    if (kind === 'mark-paused') become(id, 'PAUSED');
    if (kind === 'mark-lost') become(id, 'LOST');
    if (kind === 'fail') become(id, 'FAILED');
    if (kind === 'expire' || kind === 'finish-delete') become(id, 'DELETED');
    if (!ROW_ONLY.includes(kind)) host.delete(id);
  }
  return { ...input, desired: [...rows.values()], observed: [...host.values()] };
}

const anyAge = fc.constantFrom(NOW_MS, NOW_MS - GRACE_MS + 1, NOW_MS - GRACE_MS, LONG_AGO_MS);

const anyInput: fc.Arbitrary<PlanInput> = fc
  .record({
    desired: fc.uniqueArray(
      fc.record({
        id: fc.constantFrom(...IDS),
        state: fc.constantFrom(...STATES),
        generation: fc.constantFrom(1, 2),
        createdAtMs: anyAge,
        diskFull: fc.boolean(),
      }),
      { selector: ({ id }) => id },
    ),
    observed: fc.uniqueArray(
      fc.record({
        id: fc.constantFrom(...IDS),
        state: fc.constantFrom(...OBSERVED_STATES),
        generation: fc.constantFrom(1, 2),
        diskFull: fc.boolean(),
        endReason: fc.constantFrom<Observed['endReason'][]>(
          'UNSPECIFIED',
          'VMM_EXITED',
          'SANDBOX_TIMEOUT',
        ),
        createdAtMs: anyAge,
      }),
      { selector: ({ id }) => id, maxLength: 30 },
    ),
    inFlight: fc.uniqueArray(fc.constantFrom(...IDS), { maxLength: 5 }),
    memory: fc.array(fc.tuple(fc.constantFrom(...IDS), fc.integer({ min: 1, max: 3 }))),
    complete: fc.boolean(),
  })
  .map(({ inFlight, memory, ...rest }) =>
    given({ ...rest, inFlight: new Set(inFlight), memory: new Map(memory) as Memory }),
  );
