/** Tens of thousands of sandboxes as rows alone, and the plainest way to read one team's of them. */
import { ListSandboxesResponse, Sandbox, SandboxState } from '../gen/ts/wrenn/v1/sandbox.js';
import { toTimestamp } from '../lib/rpc/timestamp.js';
import type { BenchDatabase } from './database.js';

/** Rows of a state that nobody works on. */
const STATE = 'LOST';
const OTHER_TEAM = 'others';

const INSERT = `
  insert into sandboxes (id, team_id, template_id, host_id, state, vcpus, memory_mb, timeout_sec,
                         metadata, guest_ip, host_ip, created_at, started_at)
  select 'row' || number, case when number % $3::int = 0 then $1 else $2 end, 'minimal', 'host',
         '${STATE}', 1, 512, 300, jsonb_build_object('project', 'bench', 'number', number::text),
         '10.192.0.1', '10.192.0.2', now() - number * interval '1 s', now()
  from generate_series(1, $4::int) as number`;

const PAGE = `
  select sandboxes.*, templates.name as template
  from sandboxes join templates on templates.id = sandboxes.template_id
  where sandboxes.team_id = $1 and sandboxes.state <> 'DELETED'
    and (sandboxes.created_at, sandboxes.id) < ($2, $3)
  order by sandboxes.created_at desc, sandboxes.id desc
  limit $4`;

/** Behind every row. */
const NEWEST = { created_at: new Date('9999-01-01'), id: '' };

interface Row {
  id: string;
  host_id: string;
  template: string;
  vcpus: number;
  memory_mb: number;
  timeout_sec: number;
  metadata: Record<string, string>;
  guest_ip: string;
  host_ip: string;
  created_at: Date;
  started_at: Date;
  last_active_at: Date;
}

/** Adds rows, `own` of them to the only team that there is, spread evenly. @returns its id. */
export async function addRows(
  database: BenchDatabase,
  { own, all }: { own: number; all: number },
): Promise<string> {
  const [team, ...others] = await database.rows<{ id: string }>('select id from teams');
  if (!team || others.length > 0) throw new Error('there should be one team');
  await database.rows('insert into teams (id, name) values ($1, $1)', [OTHER_TEAM]);
  await database.rows(INSERT, [team.id, OTHER_TEAM, all / own, all]);
  await database.quiet();
  return team.id;
}

/** Reads page after page and encodes each as the answer of a list. @returns sandboxes read. */
export async function listByHand(
  database: BenchDatabase,
  teamId: string,
  pageSize: number,
): Promise<number> {
  let count = 0;
  let last: Pick<Row, 'created_at' | 'id'> = NEWEST;
  for (;;) {
    const values = [teamId, last.created_at, last.id, pageSize + 1];
    const rows = await database.prepared<Row>('page', PAGE, values);
    const page = rows.slice(0, pageSize);
    ListSandboxesResponse.encode({ sandboxes: page.map(toSandbox), nextPageToken: '' }).finish();
    count += page.length;
    last = page.at(-1) ?? last;
    if (rows.length <= pageSize) return count;
  }
}

function toSandbox(row: Row): Sandbox {
  return Sandbox.fromPartial({
    sandboxId: row.id,
    template: row.template,
    state: SandboxState.SANDBOX_STATE_LOST,
    vcpus: row.vcpus,
    memoryMb: row.memory_mb,
    timeoutSec: row.timeout_sec,
    metadata: row.metadata,
    guestIp: row.guest_ip,
    hostIp: row.host_ip,
    createdAt: toTimestamp(row.created_at.getTime()),
    startedAt: toTimestamp(row.started_at.getTime()),
    lastActiveAt: toTimestamp(row.last_active_at.getTime()),
    hostId: row.host_id,
  });
}
