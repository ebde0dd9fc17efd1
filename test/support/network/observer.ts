/**
 * Notes what of an instance's guests gets past the host's rules, by packet and
 * not by connection: its chains come after the instance's, and what those have
 * dropped it does not see.
 */
import { run } from '../../../lib/process/run.js';

export interface Seen {
  /** `source destination protocol` of packets that reached the host itself. */
  byHost: string[];
  /** The same of packets that the host passed on. */
  passedOn: string[];
}

type Element = { concat: (string | number)[] };

export class Observer {
  readonly #table: string;

  private constructor(id: string) {
    this.#table = `wt_observer_${id}`;
  }

  static async start(instanceId: string): Promise<Observer> {
    const observer = new Observer(instanceId);
    const set = 'typeof ip saddr . ip daddr . ip protocol; flags dynamic; size 4096;';
    const note = (name: string) =>
      `iifname "wv-${instanceId}-*" add @${name} { ip saddr . ip daddr . ip protocol }`;
    const input = `table ip ${observer.#table} {
      set by_host { ${set} }
      set passed_on { ${set} }
      chain input {
        type filter hook input priority filter; policy accept;
        ${note('by_host')}
      }
      chain forward {
        type filter hook forward priority filter; policy accept;
        ${note('passed_on')}
      }
    }\n`;
    await run('nft', ['-f', '-'], { input });
    return observer;
  }

  async seen(): Promise<Seen> {
    return { byHost: await this.#list('by_host'), passedOn: await this.#list('passed_on') };
  }

  async clear(): Promise<void> {
    for (const set of ['by_host', 'passed_on']) {
      await run('nft', ['flush', 'set', 'ip', this.#table, set]);
    }
  }

  async stop(): Promise<void> {
    await run('nft', ['delete', 'table', 'ip', this.#table]);
  }

  async #list(set: string): Promise<string[]> {
    const { stdout } = await run('nft', ['-j', '-n', 'list', 'set', 'ip', this.#table, set]);
    const { nftables } = JSON.parse(stdout) as { nftables: { set?: { elem?: Element[] } }[] };
    return nftables.flatMap(({ set: found }) => found?.elem ?? []).map(describeElement);
  }
}

function describeElement({ concat }: Element): string {
  return concat.join(' ');
}
