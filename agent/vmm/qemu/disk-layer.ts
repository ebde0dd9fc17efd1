/**
 * The layers of a machine's root disk, as its VMM has them open. A stopped
 * machine takes a new one: what was its disk becomes the new layer's backing,
 * read-only, and may be shared from then on.
 */
import { dirname, join } from 'node:path';
import { packageRoot } from '../../../lib/files/package-root.js';
import { randomId } from '../../../lib/ids/random-id.js';
import { run } from '../../../lib/process/run.js';
import type { MachineSpec } from '../driver.js';
import { diskNode, ROOT_DISK_ID } from './command-line.js';
import type { QmpExecute } from './qmp.js';

/** The disk below is flushed once more. */
const SWITCH_TIMEOUT_MS = 60_000;
/** QEMU takes 31 characters. */
const NODE_ID_LENGTH = 16;

/** @throws Error when it cannot be done; then the machine has the disk that it had. */
export async function putLayerOn(
  execute: QmpExecute,
  pid: number,
  rootfs: Pick<MachineSpec['rootfs'], 'path' | 'format'>,
): Promise<void> {
  if (rootfs.format !== 'qcow2') throw new Error(`a ${rootfs.format} disk has nothing below it`);
  await showFolder(pid, dirname(rootfs.path));
  const { 'node-name': node } = await currentLayer(execute);
  const overlay = `layer-${randomId(NODE_ID_LENGTH)}`;
  // The layer names its backing file, which QEMU has open as a node already.
  await execute('blockdev-add', { ...diskNode(rootfs, overlay), backing: null });
  try {
    await execute('blockdev-snapshot', { node, overlay }, { timeoutMs: SWITCH_TIMEOUT_MS });
  } catch (error) {
    await execute('blockdev-del', { 'node-name': overlay }).catch(() => undefined);
    throw error;
  }
}

/** A VMM sees only what it was shown at its start. */
async function showFolder(pid: number, folder: string): Promise<void> {
  await run(join(packageRoot(), 'native', 'host', 'build', 'show-folder'), [String(pid), folder]);
}

/** Path of the layer that the machine writes. */
export async function activeLayerPath(execute: QmpExecute): Promise<string> {
  return filePathOf((await currentLayer(execute)).file);
}

interface Layer {
  'node-name': string;
  /** Its path, or all of its options where they are not what the file itself says. */
  file: string;
}

/** The block node that the guest's root disk is now. */
async function currentLayer(execute: QmpExecute): Promise<Layer> {
  const devices = (await execute('query-block')) as { qdev?: string; inserted?: Layer }[];
  const layer = devices.find(({ qdev }) => qdev === ROOT_DISK_ID)?.inserted;
  if (!layer) throw new Error('the VMM has no root disk');
  return layer;
}

/** @param name such as `/a/disk.qcow2`, or `json:{"driver":"qcow2","file":{"filename":…},…}`. */
export function filePathOf(name: string): string {
  if (!name.startsWith('json:')) return name;
  const { file } = JSON.parse(name.slice('json:'.length)) as { file?: { filename?: unknown } };
  if (typeof file?.filename !== 'string') throw new Error('the root disk is no file');
  return file.filename;
}
