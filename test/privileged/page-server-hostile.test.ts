/** A page server whose VMM was broken into: native/addon/test/flip-vmm.c. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { expect } from 'chai';
import { packageRoot } from '../../lib/files/package-root.js';
import { requireNeed } from '../support/requirements.js';
import { type TemporaryDirectory, temporaryDirectory } from '../support/temporary-directory.js';

const BLOCKS = 64;
/** A server without defence hangs in about each fourth. */
const ROUNDS = 16;
/** After this the server is told to close, if it has not ended by itself. */
const SERVED_MS = 300;
const END_TIMEOUT_MS = 10_000;

const ADDON_FOLDER = join(packageRoot(), 'native', 'addon');

describe('a page server of a VMM that wants it to hang', function () {
  this.timeout(120_000);

  let directory: TemporaryDirectory;
  let program: string;

  before(async function () {
    requireNeed(this, 'root');
    directory = await temporaryDirectory();
    program = join(directory.path, 'flip-vmm');
    const source = join(ADDON_FOLDER, 'test', 'flip-vmm.c');
    execFileSync('cc', ['-Wall', '-pthread', '-o', program, source]);
  });

  after(() => directory?.remove());

  /** In a process of its own: one that hangs could not be ended otherwise. */
  function startServer(socketPath: string): ChildProcess {
    const options = `{ socketPath: ${JSON.stringify(socketPath)},
      removedPath: ${JSON.stringify(`${socketPath}.removed`)}, uid: 0, pid: 0,
      sizeBytes: ${BLOCKS} * 4096, runBlocksMax: 1, handshakeTimeoutMs: 10000,
      memory: { files: [], runs: Uint32Array.of(0, ${BLOCKS}, 0xffffffff, 0),
        checksums: new Uint32Array() } }`;
    const script = `
      const server = require('${join(ADDON_FOLDER, 'build', 'wrenn.node')}').startPageServer(${options});
      setInterval(() => undefined, 1000);
      console.log('listening');
      server.handshake.then(() => {
        server.serve();
        setTimeout(() => server.close().then(() => process.exit(0)), ${SERVED_MS});
      });`;
    return spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  }

  it('ends when it is closed, though reads of its userfaultfd were made to wait', async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const socketPath = join(directory.path, `memory.${round}.sock`);
      const server = startServer(socketPath);
      const ended = once(server, 'exit', { signal: AbortSignal.timeout(END_TIMEOUT_MS) });
      ended.catch(() => undefined);
      if (server.stdout) await once(server.stdout, 'data');
      const vmm = spawn(program, [socketPath, String(BLOCKS)], { stdio: 'ignore' });
      try {
        const [code] = await ended.catch(() => ['it hangs']);
        expect(code).to.equal(0);
      } finally {
        vmm.kill('SIGKILL');
        server.kill('SIGKILL');
      }
    }
  });
});
