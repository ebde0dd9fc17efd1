/** Command line of the benchmarks. */
import { Argument, Command, InvalidArgumentError, Option } from 'commander';
import type { Driver } from './place.js';

const BOOTS_DEFAULT = 5;
const ROUNDS_MAX = 100_000;

/** Every benchmark, in the order in which they run. */
export const BENCH_NAMES = [
  'exec-round-trip',
  'calls',
  'gateway',
  'stream-start',
  'stream-throughput',
  'list',
  'create-fake',
  'streams',
  'page-server',
  'merge',
  'diff',
  'create',
  'resume-depth',
  'working-set',
  'ready',
  'stop-window',
  'density',
  'pause-diff',
] as const;

export type BenchName = (typeof BENCH_NAMES)[number];

export interface BenchOptions {
  /** Rounds that are measured; each benchmark has a number of its own. */
  count?: number;
  /** Rounds before, whose times are dropped. */
  warmUp?: number;
  /** Rounds of boots. */
  boots: number;
  driver: Driver;
  json: boolean;
}

export interface BenchCommand {
  /** Those that were asked for; all when none was named. */
  names: readonly BenchName[];
  options: BenchOptions;
}

/** @param argv the arguments alone. Ends the process after `--help` and for wrong arguments. */
export function parseOptions(argv: readonly string[]): BenchCommand {
  const command = new Command('npm run bench --')
    .description(
      'Measures parts of the platform as ratios to the plainest way of doing the same, in turns ' +
        'within one run. page-server, merge and diff need no platform; the others start one of ' +
        'their own. calls, gateway, stream-start, list, create-fake and streams run it on the fake ' +
        'driver. All but these and exec-round-trip need root.',
    )
    .addArgument(
      new Argument('[names...]', 'benchmarks to run; all by default').choices(BENCH_NAMES),
    )
    .option('--count <rounds>', 'rounds that are measured', rounds(1))
    .option('--warm-up <rounds>', 'rounds before these, not counted', rounds(0))
    .option('--boots <rounds>', 'rounds of boots; 0 for none', rounds(0), BOOTS_DEFAULT)
    .addOption(
      new Option('--driver <name>', 'VMM driver').choices(['qemu', 'fake']).default('qemu'),
    )
    .option('--json', 'print the reports as JSON, with every sample', false)
    .parse(argv, { from: 'user' });
  const [names] = command.processedArgs as [BenchName[]];
  const options = command.opts<BenchOptions>();
  return { names: names.length > 0 ? names : BENCH_NAMES, options };
}

function rounds(min: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= min && value <= ROUNDS_MAX) return value;
    throw new InvalidArgumentError(`It must be a whole number from ${min} to ${ROUNDS_MAX}.`);
  };
}
