import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { eventually } from '../../../test/support/eventually.js';
import {
  type TemporaryDirectory,
  temporaryDirectory,
} from '../../../test/support/temporary-directory.js';
import { MESSAGE_BYTES_MAX, MessagePipe } from './message-pipe.js';

describe('message pipe', () => {
  let directory: TemporaryDirectory;
  let pipe: MessagePipe;

  beforeEach(async () => {
    directory = await temporaryDirectory();
    pipe = await MessagePipe.create(join(directory.path, 'messages'));
  });

  afterEach(async () => {
    await pipe.close();
    await directory.remove();
  });

  /** Starts a script with the pipe as its standard error, in the launcher's way. */
  function start(script: string): ChildProcess {
    return spawn('sh', ['-c', `exec 2>&3 3>&-; ${script}`], {
      stdio: ['pipe', 'pipe', 'ignore', pipe.fd],
    });
  }

  it('has no name once it is there', async () => {
    expect(await readdir(directory.path)).to.deep.equal([]);
  });

  it('keeps what a process said after the process has ended', async () => {
    await once(start('echo no such kernel >&2'), 'exit');

    expect(await pipe.read()).to.equal('no such kernel\n');
    expect(await pipe.read()).to.equal('no such kernel\n');
  });

  it('is empty while nobody says anything', async () => {
    expect(await pipe.read()).to.equal('');
  });

  it('never holds up a process that nobody reads, and keeps a bounded part', async () => {
    const [exitCode] = await once(start('yes | head -c 1000000 >&2 || true'), 'exit');

    expect(exitCode).to.equal(0);
    expect(await pipe.read()).to.have.length(MESSAGE_BYTES_MAX);
  });

  it('is found again by who did not make it, when its maker has let go of it', async () => {
    const child = start('echo first >&2; echo ready; read line; echo "$line" >&2; exec sleep 60');
    try {
      await once(outputOf(child), 'data');
      await pipe.close();

      const found = await MessagePipe.ofProcess(child.pid ?? 0);
      child.stdin?.write('second\n');

      await eventually(async () => expect(await found.read()).to.equal('first\nsecond\n'));
      await found.close();
    } finally {
      child.kill('SIGKILL');
    }
  });

  it('is not taken to be a file that a process has put in its place', async () => {
    const child = spawn('sh', ['-c', 'exec 2</etc/passwd; echo ready; exec sleep 60']);
    try {
      await once(child.stdout, 'data');

      const found = await MessagePipe.ofProcess(child.pid ?? 0).catch((error: unknown) => error);
      expect(found).to.be.instanceOf(Error);
    } finally {
      child.kill('SIGKILL');
    }
  });

  it('can be read and closed when it is closed', async () => {
    await once(start('echo last words >&2'), 'exit');
    await pipe.read();

    await pipe.close();
    await pipe.close();

    expect(await pipe.read()).to.equal('last words\n');
  });
});

function outputOf({ stdout }: ChildProcess): NodeJS.ReadableStream {
  if (!stdout) throw new Error('the child has no standard output');
  return stdout;
}
