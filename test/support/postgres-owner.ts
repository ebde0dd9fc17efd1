/** A process that runs an embedded Postgres in the folder of its first argument until it is killed. */
import { join } from 'node:path';
import { silentLog } from '../../lib/log/log.js';
import { EmbeddedPostgres } from '../../lib/postgres/embedded.js';

const [, , directory = ''] = process.argv;
const server = await EmbeddedPostgres.start({
  directory: join(directory, 'db'),
  socketDirectory: join(directory, 'run'),
  log: silentLog,
});
console.log(server.pid);
setInterval(() => undefined, 60_000);
