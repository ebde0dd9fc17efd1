import { mkdir, readdir, readFile, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { temporaryDirectory } from '../../test/support/temporary-directory.js';
import { LogFile } from './log-file.js';

describe('LogFile', () => {
  it('keeps the newest lines in a bounded number of bounded files', async () => {
    await using directory = await temporaryDirectory();
    const log = new LogFile(join(directory.path, 'agent.log'), { bytesMax: 20, olderMax: 2 });
    for (let number = 10; number < 30; number += 1) log.append(`line ${number}`);
    log.close();

    expect((await readdir(directory.path)).sort()).to.deep.equal([
      'agent.log',
      'agent.log.1',
      'agent.log.2',
    ]);
    const contents = await Promise.all(
      ['agent.log.2', 'agent.log.1', 'agent.log'].map((name) =>
        readFile(join(directory.path, name), 'utf8'),
      ),
    );
    for (const content of contents) expect(content.length).to.be.at.most(20);
    const lines = contents.join('').trim().split('\n');
    expect(lines).to.deep.equal(['line 24', 'line 25', 'line 26', 'line 27', 'line 28', 'line 29']);
  });

  it('goes on after the lines of an earlier run', async () => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, 'agent.log');
    for (const line of ['first', 'second']) {
      const log = new LogFile(path);
      log.append(line);
      log.close();
    }
    expect(await readFile(path, 'utf8')).to.equal('first\nsecond\n');
  });

  it('goes on in the old file when a new one cannot be made', async () => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, 'agent.log');
    const log = new LogFile(path, { bytesMax: 10, olderMax: 1 });
    log.append('first');
    await mkdir(`${path}.1`);
    log.append('second line');
    await rmdir(`${path}.1`);
    log.append('third line');
    log.close();
    expect(await readFile(path, 'utf8')).to.equal('third line\n');
  });

  it('takes a line that is longer than a whole file', async () => {
    await using directory = await temporaryDirectory();
    const log = new LogFile(join(directory.path, 'agent.log'), { bytesMax: 4, olderMax: 1 });
    log.append('a long line');
    log.append('another one');
    log.close();
    expect(await readFile(log.path, 'utf8')).to.equal('another one\n');
  });
});
