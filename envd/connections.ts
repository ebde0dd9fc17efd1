/**
 * The connections on which the host calls the daemon. The daemon accepts them itself, so that it
 * can end them: those of before a pause are dead after the restore, and nobody on this side of them
 * would ever be told.
 */
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { type Server, ServerCredentials } from '@grpc/grpc-js';

export class Connections {
  readonly #open = new Set<Socket>();
  readonly #onBreak: (stayingPeer: string) => void;

  /** @param onBreak hears of `closeOthers` before anything is closed. */
  constructor(onBreak: (stayingPeer: string) => void) {
    this.#onBreak = onBreak;
  }

  /** Serves every connection to an address. @returns the port that it got. */
  listen(server: Server, host: string, port: number): Promise<number> {
    const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
    const listener = createServer({ noDelay: true }, (socket) => {
      this.#open.add(socket);
      socket.once('close', () => this.#open.delete(socket));
      injector.injectConnection(socket);
    });
    return new Promise((resolve, reject) => {
      listener.once('error', reject);
      listener.listen(port, host, () => {
        listener.off('error', reject);
        resolve((listener.address() as AddressInfo).port);
      });
    });
  }

  /**
   * Ends every connection but one, with all calls on them. Such a call has failed for its caller
   * long ago, so a program of `Start` is killed as that of any caller who goes away: the whole
   * process group. What has left the group (`setsid`), what a call that had ended left in the
   * background (`nohup`), and what was launched lives on.
   * @param peer address and port of the other end of the one that stays.
   */
  closeOthers(peer: string): void {
    this.#onBreak(peer);
    for (const socket of this.#open) {
      if (`${socket.remoteAddress}:${socket.remotePort}` !== peer) socket.destroy();
    }
  }
}
