/** Command line of the benchmark. */
import { Command, InvalidArgumentError, Option } from 'commander';
import type { Driver } from './place.js';

const ROUNDS_DEFAULT = 100;
const WARM_UP_DEFAULT = 30;
const BOOTS_DEFAULT = 5;
const ROUNDS_MAX = 100_000;

export interface BenchOptions {
  /** Rounds of calls that are measured. */
  count: number;
  /** Rounds of calls before, whose times are dropped. */
  warmUp: number;
  /** Rounds of boots. */
  boots: number;
  driver: Driver;
  json: boolean;
}

/** @param argv the arguments alone. Ends the process after `--help` and for wrong arguments. */
export function parseOptions(argv: readonly string[]): BenchOptions {
  const { count, warmUp, boots, driver, json } = new Command('npm run bench --')
    .description(
      'Starts a platform of its own and measures calls to a sandbox through the public API against ' +
        'the same calls made directly to the host agent, and the time to create a sandbox.',
    )
    .option('--count <rounds>', 'rounds of calls', rounds(1), ROUNDS_DEFAULT)
    .option(
      '--warm-up <rounds>',
      'rounds of calls before these, not counted',
      rounds(0),
      WARM_UP_DEFAULT,
    )
    .option('--boots <rounds>', 'rounds of boots; 0 for none', rounds(0), BOOTS_DEFAULT)
    .addOption(
      new Option('--driver <name>', 'VMM driver').choices(['qemu', 'fake']).default('qemu'),
    )
    .option('--json', 'print the report as JSON, with every sample', false)
    .parse(argv, { from: 'user' })
    .opts<BenchOptions>();
  return { count, warmUp, boots, driver, json };
}

function rounds(min: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= min && value <= ROUNDS_MAX) return value;
    throw new InvalidArgumentError(`It must be a whole number from ${min} to ${ROUNDS_MAX}.`);
  };
}
