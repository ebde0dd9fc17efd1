/** What must hold before the daemons are started, said in one sentence each. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../../lib/files/package-root.js';
import type { PlatformConfig } from '../config.js';
import { CliError } from '../failure.js';
import { requireFree } from './addresses.js';

/** @throws CliError when the daemons cannot run on this machine; it says what to do. */
export function requireHost(config: PlatformConfig): void {
  for (const program of ['agent', 'src']) {
    if (!existsSync(join(packageRoot(), 'dist', program, 'main.js'))) {
      throw new CliError('the daemons are not built', 'run npm start, or npm run build');
    }
  }
  if (!config.fakeDriver) requireSandboxHost(config);
}

/** @throws CliError when an address is in use. */
export async function requireAddresses(config: PlatformConfig): Promise<void> {
  await requireFree(config.httpAddress, 'WRENN_HTTP_ADDRESS');
  await requireFree(config.grpcAddress, 'WRENN_GRPC_ADDRESS');
}

function requireSandboxHost({ imagesDirectory }: PlatformConfig): void {
  if (process.getuid?.() !== 0) {
    throw new CliError(
      'this must run as root, since it makes and removes network namespaces and VMs',
      'run it again as root, for example with sudo',
    );
  }
  if (!existsSync(join(imagesDirectory, 'manifest.json'))) {
    throw new CliError(`there are no images in ${imagesDirectory}`, 'build them: npm run images');
  }
}
