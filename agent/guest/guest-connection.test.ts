import { once } from 'node:events';
import { readdir, readlink } from 'node:fs/promises';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { expect } from 'chai';
import { eventually } from '../../test/support/eventually.js';
import { createConnection } from './guest-connection.js';

const DESCRIPTORS = '/proc/self/fd';

async function sockets(): Promise<number> {
  const names = await readdir(DESCRIPTORS);
  const links = await Promise.all(
    names.map((name) => readlink(`${DESCRIPTORS}/${name}`).catch(() => '')),
  );
  return links.filter((link) => link.startsWith('socket:')).length;
}

describe('a connection to a guest', () => {
  it('leaves no socket when it is closed, though the guest never ends its side', async () => {
    // As one that is frozen: it takes the connection and answers nothing.
    const accepted: Socket[] = [];
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) =>
      accepted.push(socket),
    );
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const before = await sockets();
    const target = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    const connection = createConnection(target);
    const other = createConnection(target);
    try {
      await eventually(() => expect(accepted).to.have.length(2));
      expect(await sockets()).to.equal(before + 4);
      connection.close();
      await eventually(async () => expect(await sockets()).to.equal(before + 3));
    } finally {
      connection.close();
      other.close();
      for (const socket of accepted) socket.destroy();
      server.close();
    }
  });
});
