/** The real network commands, counted, of which a test makes single ones fail. */
import { hostCommands, type NetworkCommands } from '../../../agent/network/commands.js';

export type FaultMoment =
  /** The command is not run. */
  | 'before'
  /** The command is run to its end, and then reported as failed. */
  | 'after';

export class InjectedFault extends Error {
  override readonly name = 'InjectedFault';
}

export class FaultyCommands implements NetworkCommands {
  /** Names of the commands so far. */
  readonly launched: string[] = [];
  #fault: { call: number; moment: FaultMoment; times: number } | undefined;
  #calls = 0;

  /** Counts from here, and makes the given call fail, and the ones after it when `times` says so. */
  arm(call: number, moment: FaultMoment, times = 1): void {
    this.#fault = { call, moment, times };
    this.restart();
  }

  disarm(): void {
    this.#fault = undefined;
    this.restart();
  }

  restart(): void {
    this.launched.length = 0;
    this.#calls = 0;
  }

  ip: NetworkCommands['ip'] = (...args) => this.#perform('ip', () => hostCommands.ip(...args));
  ipQuery: NetworkCommands['ipQuery'] = (...args) =>
    this.#perform('ipQuery', () => hostCommands.ipQuery(...args));
  nft: NetworkCommands['nft'] = (...args) => this.#perform('nft', () => hostCommands.nft(...args));
  nftQuery: NetworkCommands['nftQuery'] = (...args) =>
    this.#perform('nftQuery', () => hostCommands.nftQuery(...args));
  confine: NetworkCommands['confine'] = (...args) =>
    this.#perform('confine', () => hostCommands.confine(...args));
  setKernelSetting: NetworkCommands['setKernelSetting'] = (...args) =>
    this.#perform('setKernelSetting', () => hostCommands.setKernelSetting(...args));

  async #perform<T>(name: string, command: () => Promise<T>): Promise<T> {
    const call = this.#calls++;
    this.launched.push(name);
    const fault = this.#fault;
    const fails = fault && call >= fault.call && call < fault.call + fault.times;
    if (fails && fault.moment === 'before') throw new InjectedFault(`${name}, call ${call}`);
    const result = await command();
    if (fails) throw new InjectedFault(`${name}, call ${call}, after its end`);
    return result;
  }
}
