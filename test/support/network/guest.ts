/**
 * Plays the guest of a network slot: a namespace with a link that is wired to
 * the slot's real tap and configured as wrenn-init configures a guest, and a
 * program in it. All that it sends goes through the slot's own rules.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { NetworkSlot } from '../../../agent/network/network.js';
import { run } from '../../../lib/process/run.js';
import { Place } from './place.js';

const LINK = 'eth0';
const SOURCE = join(import.meta.dirname, 'frame-wire.c');

export class TestGuest {
  readonly place: Place;
  readonly namespace: string;
  /** The guest's link in its namespace. */
  readonly linkName = LINK;
  readonly #wire: ChildProcess;

  private constructor(namespace: string, wire: ChildProcess) {
    this.namespace = namespace;
    this.#wire = wire;
    this.place = Place.enter(namespace);
  }

  /** @param wirePath the program that `buildFrameWire` built. */
  static async start(slot: NetworkSlot, wirePath: string): Promise<TestGuest> {
    const namespace = `wt-guest-${slot.vethName.slice('wv-'.length)}`;
    await run('ip', ['netns', 'add', namespace]);
    const [from, to] = [`/run/netns/${slot.namespace}`, `/run/netns/${namespace}`];
    const args = [from, slot.tapName, String(slot.uid), to, LINK];
    const wire = spawn(wirePath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    await once(wire.stdout, 'data');
    const input = [
      `link set ${LINK} address ${slot.guestMac}`,
      `addr add ${slot.guestAddress} dev ${LINK}`,
      `link set lo up`,
      `link set ${LINK} up`,
      `route add default via ${slot.gatewayAddress}`,
    ].join('\n');
    await run('ip', ['-n', namespace, '-batch', '-'], { input: `${input}\n` });
    return new TestGuest(namespace, wire);
  }

  /** Sends a frame on the guest's link, whatever is in it. */
  send(frame: Buffer): void {
    const length = Buffer.alloc(2);
    length.writeUInt16BE(frame.length);
    this.#wire.stdin?.write(Buffer.concat([length, frame]));
  }

  /** Ends at once, as a machine does that is killed: its connections are not closed. Idempotent. */
  async stop(): Promise<void> {
    if (this.#wire.exitCode !== null || this.#wire.signalCode !== null) return;
    const ended = once(this.#wire, 'exit');
    this.#wire.kill('SIGKILL');
    await ended;
    await this.place.leave();
    await run('ip', ['netns', 'del', this.namespace]);
  }
}

/** Compiles the program that carries a guest's frames. @returns its path. */
export async function buildFrameWire(directory: string): Promise<string> {
  const path = join(directory, 'frame-wire');
  await run('cc', ['-O1', '-Wall', '-o', path, SOURCE]);
  return path;
}

/** Packets that have come in by a link of a namespace. */
export async function packetsInto(namespace: string, link: string): Promise<number> {
  const { stdout } = await run('ip', ['-n', namespace, '-j', '-s', 'link', 'show', 'dev', link]);
  const [found] = JSON.parse(stdout) as { stats64: { rx: { packets: number } } }[];
  return found?.stats64.rx.packets ?? 0;
}
