import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import {
  type TemporaryDirectory,
  temporaryDirectory,
} from '../../test/support/temporary-directory.js';
import { Coprocess } from './coprocess.js';

/** A script on a busy machine answers well within it. */
const ANSWER_TIMEOUT_MS = 1_000;

describe('Coprocess', () => {
  let directory: TemporaryDirectory;
  const started: Coprocess[] = [];

  before(async () => {
    directory = await temporaryDirectory();
  });

  after(async () => {
    for (const coprocess of started) await coprocess.ask('exit').catch(() => undefined);
    await directory?.remove();
  });

  /** A program that does, for each line that it reads, what the script says about $line. */
  async function coprocess(name: string, script: string): Promise<Coprocess> {
    const path = join(directory.path, name);
    const loop = `while read -r line; do\n[ "$line" = exit ] && exit\n${script}\ndone`;
    await writeFile(path, `#!/bin/sh\nPATH=/usr/bin:/bin\n${loop}\n`, { mode: 0o755 });
    const made = new Coprocess(path, ANSWER_TIMEOUT_MS);
    started.push(made);
    return made;
  }

  it('answers one after another, by one process', async () => {
    const echo = await coprocess('echo', 'echo "$$ $line"; echo');

    const answers = await Promise.all(['a', 'b', 'c'].map((request) => echo.ask(request)));

    const [pid] = (answers[0] ?? '').split(' ');
    expect(answers).to.deep.equal([`${pid} a\n\n`, `${pid} b\n\n`, `${pid} c\n\n`]);
  });

  it('is started again when it was killed', async () => {
    const echo = await coprocess('killed', 'echo $$; echo');
    const pid = Number(await echo.ask('first'));

    process.kill(pid, 'SIGKILL');

    const next = Number(await echo.ask('second'));
    expect(next).to.be.greaterThan(0).and.not.equal(pid);
  });

  it('repeats a request that got no answer', async () => {
    const mark = join('$(dirname "$0")', 'mark');
    const once = await coprocess(
      'once',
      `[ -e "${mark}" ] || { : > "${mark}"; exit; }; echo ok; echo`,
    );

    expect(await once.ask('request')).to.equal('ok\n\n');
  });

  for (const [what, script] of [
    ['ends without an answer', 'exit'],
    ['does not answer', 'read -r never'],
    ['does not end its answer', 'echo'],
    ['answers without end', 'yes'],
  ] as const) {
    it(`fails when it ${what}, and lives on`, async () => {
      const broken = await coprocess(what.replaceAll(' ', '-'), script);

      for (const request of ['first', 'second']) {
        expect(await outcome(broken.ask(request))).to.equal('failed');
      }
    });
  }

  it('fails when there is no such program', async () => {
    const missing = new Coprocess(join(directory.path, 'no-such-program'));
    missing.start();

    expect(await outcome(missing.ask('request'))).to.equal('failed');
  });
});

function outcome(answer: Promise<string>): Promise<string> {
  return answer.then(
    () => 'answered',
    () => 'failed',
  );
}
