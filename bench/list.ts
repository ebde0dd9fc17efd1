/**
 * `npm run bench -- list`: the list of a team's 1,000 sandboxes among 50,000 rows,
 * page by page, against its SQL by hand with the encoding of the same messages,
 * and how many queries a page takes.
 */
import { arm, PUBLIC_GRPC, PUBLIC_HTTP } from './call-arms.js';
import { BenchDatabase } from './database.js';
import { HttpClient } from './http-client.js';
import { addRows, listByHand } from './many-rows.js';
import { type BenchContext, measure } from './measure.js';
import type { BenchPlatform } from './platform.js';
import { type Findings, withFakePlatform } from './platform-run.js';
import type { BenchReport, CountReport } from './report.js';
import { AGAIN } from './rounds.js';

const ROUNDS_DEFAULT = 100;
const WARM_UP_ROUNDS_DEFAULT = 50;
const OWN_ROWS = 1000;
const ROWS = 50_000;
const PAGE_SIZE = 100;
/** Lists whose queries are counted. */
const COUNTED_LISTS = 20;
/** How the control plane finds out, now and then, that the database answers. */
const PROBE = /select 1\b/;

const BY_HAND = 'SQL by hand, and encoded';
/** Passes of the reconciler make queries of their own. */
const SETTINGS = { WRENN_RECONCILE_INTERVAL_MS: '3600000' };

export function benchList(context: BenchContext): Promise<BenchReport> {
  return withFakePlatform(
    'bench/list.ts',
    context,
    (platform) => compare(platform, context),
    SETTINGS,
  );
}

async function compare(platform: BenchPlatform, context: BenchContext): Promise<Findings> {
  const { options, progress, signal } = context;
  const { count = ROUNDS_DEFAULT, warmUp = WARM_UP_ROUNDS_DEFAULT } = options;
  await using database = await BenchDatabase.connect(platform);
  using http = new HttpClient(platform.httpAddress, platform.apiKey);
  progress.show(`adding ${ROWS} rows`);
  const teamId = await addRows(database, { own: OWN_ROWS, all: ROWS });
  const byHand = () => requireAll(listByHand(database, teamId, PAGE_SIZE));
  const group = await measure(
    {
      title: `List of ${OWN_ROWS} among ${ROWS} sandboxes, ${PAGE_SIZE} a page`,
      arms: [
        arm(BY_HAND, byHand),
        arm(AGAIN, byHand),
        arm(PUBLIC_GRPC, () => requireAll(listByGrpc(platform, signal))),
        arm(PUBLIC_HTTP, () => requireAll(listByHttp(http, signal))),
      ],
      baselines: [BY_HAND],
      rounds: count,
      warmUpRounds: warmUp,
    },
    context,
  );
  progress.show('counting queries');
  return { groups: [group], counts: await countQueries(platform, database, signal) };
}

/** @throws Error when it is not one query a page. */
async function countQueries(
  platform: BenchPlatform,
  database: BenchDatabase,
  signal: AbortSignal,
): Promise<CountReport[]> {
  const statements = await database.statementsDuring(async () => {
    for (let list = 0; list < COUNTED_LISTS; list += 1) await listByGrpc(platform, signal);
  });
  const pages = COUNTED_LISTS * (OWN_ROWS / PAGE_SIZE);
  const ofList = statements.filter((statement) => statement.includes('sandboxes'));
  const others = statements.filter(
    (statement) => !ofList.includes(statement) && !PROBE.test(statement),
  );
  if (ofList.length !== pages) throw new Error(`${pages} pages took ${ofList.length} queries`);
  return [
    { name: 'queries for each page of a list', value: ofList.length / pages, ideal: 1 },
    { name: `other queries beside ${pages} pages`, value: others.length },
  ];
}

/** @returns sandboxes read. */
async function listByGrpc({ client }: BenchPlatform, signal: AbortSignal): Promise<number> {
  let count = 0;
  for (let pageToken = ''; ; ) {
    const page = await client.sandboxes.listPage({ pageSize: PAGE_SIZE, pageToken }, { signal });
    count += page.sandboxes.length;
    pageToken = page.nextPageToken;
    if (pageToken === '') return count;
  }
}

async function listByHttp(http: HttpClient, signal: AbortSignal): Promise<number> {
  let count = 0;
  for (let token = ''; ; ) {
    const path = `/v1/sandboxes?page_size=${PAGE_SIZE}&page_token=${token}`;
    const page = (await http.get(path, signal)) as Partial<HttpPage>;
    count += page.sandboxes?.length ?? 0;
    token = page.next_page_token ?? '';
    if (token === '') return count;
  }
}

interface HttpPage {
  sandboxes: unknown[];
  next_page_token: string;
}

async function requireAll(counting: Promise<number>): Promise<void> {
  const count = await counting;
  if (count !== OWN_ROWS) throw new Error(`the list has ${count} sandboxes`);
}
