/** The static busybox for guests, out of Debian's package and not from the host's own folders. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { requirement } from '../failure.js';
import type { PackageCache } from './package-cache.js';

const PACKAGE = 'busybox-static';
/** Where releases of Debian have put it. */
const PATHS = ['usr/bin/busybox', 'bin/busybox'];

export interface Busybox {
  version: string;
  content: Buffer;
}

export async function readBusybox(packages: PackageCache): Promise<Busybox> {
  const { version, directory } = await packages.newest(PACKAGE);
  const path = PATHS.map((candidate) => join(directory, candidate)).find(existsSync);
  if (!path) throw requirement(`the package ${PACKAGE} holds no busybox`);
  return { version, content: await readFile(path) };
}
