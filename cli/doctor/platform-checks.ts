/** The part of the report that is about Wrenn itself: whether it runs, and where it would. */
import { existsSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { DoctorCheck } from '../../lib/doctor/report.js';
import { formatAddress } from '../address.js';
import type { PlatformConfig } from '../config.js';
import { CliError } from '../failure.js';
import { requireFree } from '../up/addresses.js';
import { isSupervised, supervisorPid } from '../up/exclusive.js';

const GIB = 1024 ** 3;
/** Below this a few disks of sandboxes fill the host's. */
const DISK_BYTES_MIN = 1 * GIB;

export async function checkPlatform(config: PlatformConfig): Promise<DoctorCheck[]> {
  const pid = (await isSupervised(config)) ? await supervisorPid(config) : undefined;
  const addresses = pid === undefined ? await checkAddresses(config) : [];
  return [
    { name: 'Node', status: 'ok', found: process.versions.node },
    {
      name: 'wrenn up',
      status: 'ok',
      found: pid === undefined ? 'not running' : `running, process ${pid}`,
    },
    {
      name: 'database',
      status: 'ok',
      found: config.databaseUrl === undefined ? 'embedded Postgres' : 'Postgres of DATABASE_URL',
    },
    await checkDisk(config.stateDirectory),
    ...addresses,
  ];
}

async function checkDisk(stateDirectory: string): Promise<DoctorCheck> {
  let folder = stateDirectory;
  while (!existsSync(folder)) folder = dirname(folder);
  const { bavail, bsize } = await statfs(folder);
  const free = bavail * bsize;
  const found = `${(free / GIB).toFixed(1)} GiB free in ${stateDirectory}`;
  if (free >= DISK_BYTES_MIN) return { name: 'disk', status: 'ok', found };
  const advice = 'Free some space, or set WRENN_STATE_DIR to a folder on a larger disk.';
  return { name: 'disk', status: 'missing', found, advice };
}

async function checkAddresses(config: PlatformConfig): Promise<DoctorCheck[]> {
  return await Promise.all(
    (
      [
        ['HTTP address', 'WRENN_HTTP_ADDRESS', config.httpAddress],
        ['gRPC address', 'WRENN_GRPC_ADDRESS', config.grpcAddress],
      ] as const
    ).map(async ([name, setting, address]): Promise<DoctorCheck> => {
      try {
        await requireFree(address, setting);
        return { name, status: 'ok', found: `${formatAddress(address)} is free` };
      } catch (error) {
        if (!(error instanceof CliError)) throw error;
        const { message: found, hint = '' } = error;
        return { name, status: 'missing', found, advice: `${hint}.` };
      }
    }),
  );
}
