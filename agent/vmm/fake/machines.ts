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

  /** The machine of a process, told from a later one by its start time. */
  find({ pid, startTimeTicks }: MachineRecord): FakeMachine | undefined {
    const machine = this.#machines.get(pid);
    return machine?.record.startTimeTicks === startTimeTicks ? machine : undefined;
  }

  /** The machine of a sandbox, whose folder no other has. */
  findIn(runDirectory: string): FakeMachine | undefined {
    return this.all().find(({ record }) => record.runDirectory === runDirectory);
  }
}
