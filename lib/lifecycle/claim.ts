/**
 * Exclusive use of a folder by one process, held as a listening socket with an
 * abstract name (unix(7)): the kernel lets one process have it and takes it
 * back when that process ends, however it ends. No file can be left behind.
 */
import { createHash } from 'node:crypto';
import { mkdir, realpath } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { Code, WrennError } from '../errors/index.js';

export interface Claim {
  release(): Promise<void>;
}

/**
 * Claims a folder, which is made if it is absent.
 * @param role who claims, such as `agent`; different roles do not exclude each other.
 * @throws WrennError HOST_REQUIREMENT when another process holds it.
 */
export async function claimDirectory(role: string, directory: string): Promise<Claim> {
  await mkdir(directory, { recursive: true, mode: 0o755 });
  const hash = createHash('sha256')
    .update(await realpath(directory))
    .digest('hex')
    .slice(0, 32);
  const server = createServer((socket) => socket.destroy());
  server.unref();
  await listen(server, `\0wrenn-${role}-${hash}`, role, directory);
  return { release: () => new Promise((resolve) => server.close(() => resolve())) };
}

function listen(server: Server, name: string, role: string, directory: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      if (cause.code !== 'EADDRINUSE') return reject(cause);
      const message = `another wrenn ${role} is using ${directory}; stop it, or choose another folder`;
      reject(
        new WrennError(Code.FAILED_PRECONDITION, 'HOST_REQUIREMENT', message, {
          metadata: { directory },
        }),
      );
    });
    server.listen(name, resolve);
  });
}
