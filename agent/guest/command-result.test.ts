import { expect } from 'chai';
import type { StartResponse } from '../../gen/ts/wrenn/envd/v1/process.js';
import { hasReason } from '../../lib/errors/index.js';
import { CAPTURED_BYTES_MAX, CommandEvents, STREAM_BYTES_MAX } from './command-result.js';

const started: StartResponse = { event: { $case: 'started', value: { pid: 7 } } };
const out = (text: string): StartResponse => ({
  event: { $case: 'stdout', value: Buffer.from(text) },
});
const err = (text: string): StartResponse => ({
  event: { $case: 'stderr', value: Buffer.from(text) },
});
const exited = (fields = {}): StartResponse => ({
  event: {
    $case: 'exited',
    value: { exitCode: 0, signal: '', timedOut: false, durationMs: 1, ...fields },
  },
});
const unknownEvent: StartResponse = { event: undefined };

describe('CommandEvents', () => {
  function collect(...events: StartResponse[]) {
    const collected = new CommandEvents(STREAM_BYTES_MAX);
    for (const event of events) collected.add(event);
    return collected.result();
  }

  it('collects what a program printed and how it ended', () => {
    const end = exited({ exitCode: 143, signal: 'SIGTERM', durationMs: 12.5 });

    const result = collect(started, out('a'), err('b'), out('c'), end);

    expect(result).to.deep.equal({
      stdout: Buffer.from('ac'),
      stderr: Buffer.from('b'),
      stdoutTruncated: false,
      stderrTruncated: false,
      exitCode: 143,
      signal: 'SIGTERM',
      durationMs: 12.5,
    });
  });

  it('passes over events that a newer guest may have', () => {
    expect(collect(started, unknownEvent, out('a'), exited()).stdout.toString()).to.equal('a');
  });

  it('keeps the first 1,000,000 bytes of each output and says that there was more', () => {
    const chunk = 'x'.repeat(CAPTURED_BYTES_MAX - 1);

    const result = collect(started, out(chunk), out('yz'), err(chunk), err('y'), exited());

    expect(result.stdout.length).to.equal(CAPTURED_BYTES_MAX);
    expect(result.stdout.subarray(-2).toString()).to.equal('xy');
    expect(result.stdoutTruncated).to.equal(true);
    expect(result.stderr.length).to.equal(CAPTURED_BYTES_MAX);
    expect(result.stderrTruncated).to.equal(false);
  });

  for (const [what, events] of [
    ['output before the start', [out('a')]],
    ['an end before the start', [exited()]],
    ['a second start', [started, started]],
    ['a second end', [started, exited(), exited()]],
    ['output after the end', [started, exited(), out('a')]],
    ['an unknown event after the end', [started, exited(), unknownEvent]],
    ['no end', [started, out('a')]],
    ['nothing at all', []],
    ['a negative exit code', [started, exited({ exitCode: -1 })]],
    ['an exit code above 255', [started, exited({ exitCode: 256 })]],
    ['a signal that there is not', [started, exited({ signal: 'SIGNOSUCH' })]],
    ['a signal with other text', [started, exited({ signal: 'SIGKILL\u001b[2J' })]],
    ['a signal by a name of every object', [started, exited({ signal: 'constructor' })]],
    ['a duration that is no number', [started, exited({ durationMs: Number.NaN })]],
    ['a duration without end', [started, exited({ durationMs: Number.POSITIVE_INFINITY })]],
    ['a negative duration', [started, exited({ durationMs: -1 })]],
  ] as [string, StartResponse[]][]) {
    it(`refuses ${what}`, () => {
      expect(unreachable(() => collect(...events))).to.equal(true);
    });
  }

  for (const [what, event] of [
    ['output', out('x'.repeat(100))],
    ['empty output', out('')],
    ['unknown events', unknownEvent],
  ] as const) {
    it(`ends endless ${what}`, () => {
      const collected = new CommandEvents(10_000);
      collected.add(started);

      expect(
        unreachable(() => {
          for (let count = 0; count < 1_000; count += 1) collected.add(event);
        }),
      ).to.equal(true);
    });
  }

  function unreachable(action: () => unknown): boolean {
    try {
      action();
      return false;
    } catch (error) {
      return hasReason(error, 'GUEST_UNREACHABLE');
    }
  }
});
