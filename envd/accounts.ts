/**
 * Users and groups of the guest, read from its own /etc/passwd and /etc/group:
 * the C library that Node was built with may be another one than the guest's.
 */
import { readFile } from 'node:fs/promises';

export interface Account {
  name: string;
  uid: number;
  gid: number;
  home: string;
  shell: string;
  /** Groups beside the primary one. */
  supplementaryGids: number[];
}

export interface AccountFiles {
  passwdPath: string;
  groupPath: string;
}

const GUEST_FILES: AccountFiles = { passwdPath: '/etc/passwd', groupPath: '/etc/group' };

/** What the superuser is in a guest that has no /etc/passwd. */
const ROOT: Account = {
  name: 'root',
  uid: 0,
  gid: 0,
  home: '/root',
  shell: '/bin/sh',
  supplementaryGids: [],
};

/** Finds a user; undefined when the guest has none of this name. */
export async function findAccount(
  name: string,
  files: AccountFiles = GUEST_FILES,
): Promise<Account | undefined> {
  const [passwd, group] = await Promise.all([
    readLines(files.passwdPath),
    readLines(files.groupPath),
  ]);
  const fields = passwd.map((line) => line.split(':')).find(([entry]) => entry === name);
  const uid = toId(fields?.[2]);
  const gid = toId(fields?.[3]);
  if (!fields || uid === undefined || gid === undefined) {
    return name === ROOT.name ? ROOT : undefined;
  }
  return {
    name,
    uid,
    gid,
    home: fields[5] || '/',
    shell: fields[6] || '/bin/sh',
    supplementaryGids: group.flatMap((line) => membership(line, name)).filter((id) => id !== gid),
  };
}

/** Names of users and groups by their numbers. */
export interface AccountNames {
  users: ReadonlyMap<number, string>;
  groups: ReadonlyMap<number, string>;
}

/** Reads all names; the first line of a number counts. */
export async function readAccountNames(files: AccountFiles = GUEST_FILES): Promise<AccountNames> {
  const [passwd, group] = await Promise.all([
    readLines(files.passwdPath),
    readLines(files.groupPath),
  ]);
  return { users: namesByNumber(passwd), groups: namesByNumber(group) };
}

function namesByNumber(lines: string[]): Map<number, string> {
  const names = new Map<number, string>();
  for (const line of lines) {
    const [name, , number] = line.split(':');
    const id = toId(number);
    if (name && id !== undefined && !names.has(id)) names.set(id, name);
  }
  return names;
}

function membership(line: string, name: string): number[] {
  const [, , gid, members = ''] = line.split(':');
  const id = toId(gid);
  return id !== undefined && members.split(',').includes(name) ? [id] : [];
}

async function readLines(path: string): Promise<string[]> {
  try {
    return (await readFile(path, 'utf8')).split('\n');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

function toId(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,10}$/.test(text) ? Number(text) : undefined;
}
