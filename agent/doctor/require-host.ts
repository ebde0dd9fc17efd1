import { Code, WrennError } from '../../lib/errors/index.js';
import type { AgentConfig } from '../config.js';
import {
  checkDevice,
  checkFolder,
  checkPrograms,
  checkSystem,
  checkUserfaultfd,
} from './host-checks.js';

/** @throws WrennError HOST_REQUIREMENT, one sentence for the first thing that is missing. */
export async function requireHost({ stateDirectory, imagesDirectory }: AgentConfig): Promise<void> {
  const checks = [
    ...checkSystem(),
    ...(await checkPrograms()),
    await checkDevice('/dev/net/tun', 'missing', 'Load the kernel module tun: `modprobe tun`.'),
    await checkUserfaultfd(),
    await checkFolder('state folder', stateDirectory),
    await checkFolder('images folder', imagesDirectory),
  ];
  const missing = checks.find(({ status }) => status === 'missing');
  if (!missing) return;
  const { name, found, advice } = missing;
  throw new WrennError(
    Code.FAILED_PRECONDITION,
    'HOST_REQUIREMENT',
    `${name}: ${found}. ${advice}`,
  );
}
