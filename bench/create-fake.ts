/**
 * `npm run bench -- create-fake`: what the platform itself takes to create a
 * sandbox when a machine costs nothing, against one INSERT with its commit in
 * the same database; and the same with 1,000 sandboxes there against 10.
 */
import { join } from 'node:path';
import { mapConcurrently } from '../lib/lifecycle/map-concurrently.js';
import { directCreate, MACHINE, publicCreate } from './create-arms.js';
import { BenchDatabase } from './database.js';
import { type BenchContext, measure } from './measure.js';
import { BenchPlatform } from './platform.js';
import { type Findings, withFakePlatform } from './platform-run.js';
import type { BenchReport } from './report.js';
import { AGAIN, type Arm, elapsed } from './rounds.js';

const ROUNDS_DEFAULT = 300;
const WARM_UP_ROUNDS_DEFAULT = 150;
const FEW = 10;
const MANY = 1000;
const CALLS_AT_ONCE = 8;

const INSERT = 'one INSERT with commit';
const WITH_FEW = `with ${FEW} sandboxes`;
const WITH_MANY = `with ${MANY} sandboxes`;
const SETTINGS = {
  WRENN_FAKE_BOOT_MS: '0',
  WRENN_MEMORY_MB_MAX: '1000000',
  WRENN_TEAM_SANDBOXES_MAX: String(2 * MANY),
};

/** Like the table of sandboxes, with its indexes. */
const TABLE = 'create table bench_sandboxes (like sandboxes including all)';
const ROW = `
  insert into bench_sandboxes (id, team_id, template_id, host_id, state, vcpus, memory_mb,
                               timeout_sec)
  values ($1, 'team', 'minimal', 'host', 'STARTING', 1, 512, 300)`;

export function benchCreateFake(context: BenchContext): Promise<BenchReport> {
  return withFakePlatform(
    'bench/create-fake.ts',
    context,
    (platform) => compare(platform, context),
    SETTINGS,
  );
}

async function compare(few: BenchPlatform, context: BenchContext): Promise<Findings> {
  const { options, progress, signal } = context;
  const { count = ROUNDS_DEFAULT, warmUp = WARM_UP_ROUNDS_DEFAULT } = options;
  const plan = { rounds: count, warmUpRounds: warmUp };
  await using database = await BenchDatabase.connect(few);
  await fill(few, FEW, signal);
  const insert = await insertArms(database);
  const create = await measure(
    {
      title: 'Create a sandbox on the fake driver',
      arms: [...insert, directCreate(few), publicCreate(few)],
      baselines: [INSERT],
      ...plan,
    },
    context,
  );
  progress.show('starting a second platform');
  await using many = await BenchPlatform.start('fake', secondPlace(few));
  progress.show(`creating ${MANY} sandboxes`);
  const sandboxIds = await fill(many, MANY, signal);
  const scale = await measure(
    {
      title: 'Create a sandbox among others',
      arms: [
        { ...publicCreate(few), name: WITH_FEW },
        { ...publicCreate(few), name: AGAIN },
        { ...publicCreate(many), name: WITH_MANY },
      ],
      baselines: [WITH_FEW],
      ...plan,
    },
    context,
  );
  progress.show(`deleting ${MANY} sandboxes`);
  // The end of a platform pauses what is there, which takes longer.
  await mapConcurrently(sandboxIds, CALLS_AT_ONCE, (sandboxId) =>
    many.client.sandboxes.delete(sandboxId, { signal }),
  );
  return { groups: [create, scale] };
}

/** Two platforms side by side, so that both are measured in turns. */
function secondPlace({ config }: BenchPlatform): Record<string, string> {
  const stateDirectory = `${config.stateDirectory}-many`;
  return {
    ...SETTINGS,
    WRENN_STATE_DIR: stateDirectory,
    WRENN_RUN_DIR: `${config.runDirectory}-many`,
    WRENN_CONFIG_DIR: join(stateDirectory, 'config'),
  };
}

async function fill(
  { client }: BenchPlatform,
  count: number,
  signal: AbortSignal,
): Promise<string[]> {
  return mapConcurrently(Array.from({ length: count }), CALLS_AT_ONCE, async () => {
    return (await client.sandboxes.create(MACHINE, { signal })).sandboxId;
  });
}

async function insertArms(database: BenchDatabase): Promise<Arm[]> {
  await database.rows(TABLE);
  let number = 0;
  const insert = () => {
    number += 1;
    return elapsed(() => database.prepared('row', ROW, [`row${number}`]));
  };
  return [
    { name: INSERT, measure: insert },
    { name: AGAIN, measure: insert },
  ];
}
