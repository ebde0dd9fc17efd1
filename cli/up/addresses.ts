/** Addresses to listen on: whether one is free, and where one is. */
import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';
import type { HostPort } from '../../lib/config/environment.js';
import { formatAddress } from '../address.js';
import { CliError } from '../failure.js';

const FREE_PORT_MIN = 10_000;
const FREE_PORT_MAX = 32_000;
const FREE_PORT_ATTEMPTS_MAX = 50;

/** @throws CliError when a program has the address already. */
export async function requireFree(address: HostPort, setting: string): Promise<void> {
  try {
    await listenOnce(address);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const shown = formatAddress(address);
    throw new CliError(
      code === 'EADDRINUSE'
        ? `the address ${shown} is in use`
        : `cannot listen on ${shown}: ${message}`,
      `stop the program that has it, or set ${setting} to another address`,
    );
  }
}

/**
 * A port on the loopback address that is free at this moment. It lies outside
 * the range from which the kernel takes ports for outgoing connections, so that
 * none of these is likely to take it before it is used.
 */
export async function findFreePort(): Promise<number> {
  for (let attempt = 1; ; attempt += 1) {
    const port = randomInt(FREE_PORT_MIN, FREE_PORT_MAX);
    try {
      return await listenOnce({ host: '127.0.0.1', port });
    } catch (error) {
      if (attempt >= FREE_PORT_ATTEMPTS_MAX) throw error;
    }
  }
}

function listenOnce({ host, port }: HostPort): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen({ host, port }, () => {
      const bound = server.address();
      server.close(() => resolve(typeof bound === 'object' && bound ? bound.port : port));
    });
  });
}
