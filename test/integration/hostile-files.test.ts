/** Files of guests that break the contract in every way. */
import { expect } from 'chai';
import type { GuestClient } from '../../agent/guest/guest-client.js';
import {
  type FileEvent,
  FileEventType,
  FileInfo,
  FileType,
} from '../../gen/ts/wrenn/envd/v1/filesystem.js';
import { drain, failureOf, UNREACHABLE, withHostileGuest } from '../support/hostile-client.js';
import { type Script, silent, writeForever } from '../support/hostile-guest.js';

const MIB = 1024 * 1024;
/** What a guest may make the agent hold, above what it held before. */
const MEMORY_MAX = 100 * MIB;
const MANY = 100_000;
const UINT64_MAX = 2n ** 64n - 1n;
const ROOT = '/watched';

describe('files of a hostile guest', () => {
  const never = new AbortController().signal;

  const watch = (client: GuestClient) =>
    client.files.watch({ path: ROOT, recursive: false }, never);
  const list = (client: GuestClient, after = '') =>
    client.files.list({ path: ROOT, depth: 1, entriesMax: 10, after }, never);

  function expectUnreachable(error: unknown): void {
    expect(error).to.include(UNREACHABLE);
  }

  const infos: [string, FileInfo][] = [
    ['an impossible size', fileInfo({ sizeBytes: UINT64_MAX })],
    ['no type', fileInfo({ type: FileType.FILE_TYPE_UNSPECIFIED })],
    ['an unknown type', fileInfo({ type: 99 as FileType })],
    ['a relative path', fileInfo({ path: 'etc/passwd' })],
    ['no path', fileInfo({ path: '' })],
    ['a path with a zero byte', fileInfo({ path: '/etc\0' })],
    ['a path without end', fileInfo({ path: `/${'x'.repeat(MIB)}` })],
    ['impossible permissions', fileInfo({ mode: 2 ** 32 - 1 })],
    ['an owner without end', fileInfo({ owner: 'x'.repeat(MIB) })],
    ['a group without end', fileInfo({ group: 'x'.repeat(MIB) })],
    ['a link without end', fileInfo({ symlinkTarget: 'x'.repeat(MIB) })],
  ];
  for (const [what, info] of infos) {
    it(`are refused with ${what}`, async () => {
      const target = { path: ROOT, user: '', mode: 0 };
      const path = { source: ROOT, destination: ROOT, user: '' };
      const listed = { ...info, path: info.path === ROOT ? `${ROOT}/x` : info.path };
      const listDir = () => ({ entries: [listed], hasMore: false });

      await withHostileGuest({ fileInfo: () => info, listDir }, async (client) => {
        expectUnreachable(await failureOf(client.files.stat(ROOT, never)));
        expectUnreachable(await failureOf(client.files.makeDirectory(target, never)));
        expectUnreachable(await failureOf(client.files.move(path, never)));
        expectUnreachable(await failureOf(list(client)));
      });
    });
  }

  it('have whole characters only, whatever the guest says', async () => {
    const mark = '\u007f';
    const texts = { owner: mark, group: mark, symlinkTarget: mark };
    const bytes = Buffer.from(FileInfo.encode(fileInfo({ path: `/${mark}`, ...texts })).finish());
    const broken = bytes.map((byte) => (byte === 0x7f ? 0xff : byte));

    const info = await withHostileGuest({ fileInfo: () => Buffer.from(broken) }, (client) =>
      client.files.stat(ROOT, never),
    );

    const { path, owner, group, symlinkTarget } = info;
    expect([path, owner, group, symlinkTarget]).to.deep.equal([
      '/\ufffd',
      '\ufffd',
      '\ufffd',
      '\ufffd',
    ]);
  });

  const entry = (path = `${ROOT}/x`) => fileInfo({ path });
  const pages: [string, FileInfo[], boolean][] = [
    ['more entries than were asked for', Array(11).fill(entry()), false],
    ['very many entries', Array(MANY).fill(entry()), false],
    ['an entry of another directory', [entry('/etc/passwd')], false],
    ['an entry of a directory of almost the same name', [entry(`${ROOT}-not/x`)], false],
    ['nothing, and more to come', [], true],
    ['the same again, and more to come', [entry(`${ROOT}/last`)], true],
  ];
  for (const [what, entries, hasMore] of pages) {
    it(`are not listed with ${what}`, async () => {
      await withHostileGuest({ listDir: () => ({ entries, hasMore }) }, async (client) => {
        expectUnreachable(await failureOf(list(client, `${ROOT}/last`)));
      });
    });
  }

  const events: [string, FileEvent][] = [
    ['a relative path', fileEvent({ path: 'watched/x' })],
    ['a path of another directory', fileEvent({ path: '/etc/passwd' })],
    ['an old path of another directory', fileEvent({ oldPath: '/etc/passwd' })],
    ['a path without end', fileEvent({ path: `${ROOT}/${'x'.repeat(MIB)}` })],
    ['a path with a zero byte', fileEvent({ path: `${ROOT}/\0` })],
  ];
  for (const [what, event] of events) {
    it(`are watched no more with ${what}`, async () => {
      const watchDir: Script<FileEvent> = (call) => {
        call.write(fileEvent({ type: FileEventType.FILE_EVENT_TYPE_READY, path: ROOT }));
        call.write(event);
      };

      await withHostileGuest({ watchDir }, async (client) => {
        expectUnreachable(await failureOf(drain(watch(client))));
      });
    });
  }

  it('are watched no more when the watch ends, or tells unknown things for ever', async () => {
    const unknown = fileEvent({ type: 99 as FileEventType });
    const scripts: Script<FileEvent>[] = [
      (call) => void call.end(),
      (call) => writeForever(call, () => unknown),
    ];

    for (const watchDir of scripts) {
      await withHostileGuest({ watchDir }, async (client) => {
        expectUnreachable(await failureOf(drain(watch(client))));
      });
    }
  });

  it('are read no more when pieces are too large, or empty for ever, or do not come', async () => {
    const scripts: Script<{ content: Buffer }>[] = [
      (call) => void call.write({ content: Buffer.alloc(64 * 1024 + 1) }),
      (call) => void call.write({ content: Buffer.alloc(9 * MIB) }),
      (call) => writeForever(call, () => ({ content: Buffer.alloc(0) })),
      (call) => void call.write({ content: Buffer.alloc(1) }),
      () => undefined,
    ];

    for (const streamReadFile of scripts) {
      await withHostileGuest({ streamReadFile }, async (client) => {
        expectUnreachable(await failureOf(drain(client.files.read('/file', never))));
      });
    }
  });

  it('fill no memory when they have no end', async function () {
    this.timeout(60_000);
    const content = Buffer.alloc(64 * 1024);
    const streamReadFile: Script<{ content: Buffer }> = (call) =>
      writeForever(call, () => ({ content }));
    const before = process.memoryUsage().rss;
    let taken = 0;

    await withHostileGuest({ streamReadFile }, async (client) => {
      for await (const piece of client.files.read('/file', never)) {
        taken += piece.length;
        if (taken > 128 * MIB) break;
      }
    });

    expect(process.memoryUsage().rss - before).to.be.lessThan(MEMORY_MAX);
  });

  it('are not written when the guest takes nothing', async () => {
    await withHostileGuest({ streamWriteFile: silent }, async (client) => {
      const target = { path: '/file', user: '', mode: 0 };
      const writing = client.files.write(target, zeros(64 * MIB), never);
      expectUnreachable(await failureOf(writing));
    });
  });

  it('are not written when the guest answers before it has the whole file', async () => {
    await withHostileGuest({ streamWriteFile: () => ({ sizeBytes: 1 }) }, async (client) => {
      const target = { path: '/file', user: '', mode: 0 };
      const writing = client.files.write(target, zeros(64 * MIB), never);
      expectUnreachable(await failureOf(writing));
    });
  });
});

function fileInfo(fields: Partial<FileInfo> = {}): FileInfo {
  return {
    path: ROOT,
    type: FileType.FILE_TYPE_FILE,
    sizeBytes: 1n,
    mode: 0o644,
    owner: 'root',
    group: 'root',
    modifiedAtNs: 1n,
    symlinkTarget: '',
    ...fields,
  };
}

function fileEvent(fields: Partial<FileEvent> = {}): FileEvent {
  const type = FileEventType.FILE_EVENT_TYPE_RENAME;
  return { type, path: `${ROOT}/x`, oldPath: '', isDirectory: false, ...fields };
}

async function* zeros(bytes: number): AsyncGenerator<Buffer> {
  const piece = Buffer.alloc(64 * 1024);
  for (let sent = 0; sent < bytes; sent += piece.length) yield piece;
}
