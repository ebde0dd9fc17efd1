/** The machines of one fake host. They outlive a driver, as VMM processes outlive an agent. */
import type { MachineRecord } from '../driver.js';
import type { FakeMachine } from './machine.js';

/** The kernel gives no process a number as high. */
const FIRST_PID = 10_000_000;

export class FakeMachines {
  readonly #machines = new Map<number, FakeMachine>();
  #lastPid = FIRST_PID;

  nextPid(): number {
    this.#lastPid += 1;
    return this.#lastPid;
  }

  add(machine: FakeMachine): void {
    this.#machines.set(machine.record.pid, machine);
  }

  delete(record: MachineRecord): void {
    this.#machines.delete(record.pid);
  }

  all(): FakeMachine[] {
    return [...this.#machines.values()];
  }

  /** Finds the machine that a record names, also one that was written before the machine had a pid. */
  find(record: MachineRecord): FakeMachine | undefined {
    if (record.pid === 0) {
      return this.all().find((machine) => machine.record.runDirectory === record.runDirectory);
    }
    const machine = this.#machines.get(record.pid);
    return machine?.record.startTimeTicks === record.startTimeTicks ? machine : undefined;
  }
}
