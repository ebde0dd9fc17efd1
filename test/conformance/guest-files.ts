/** The FilesystemService that every guest daemon must have, as one suite. */
import { randomBytes } from 'node:crypto';
import { dirname } from 'node:path';
import { expect } from 'chai';
import {
  type FileEvent,
  FileEventType,
  FileType,
  type StreamWriteFileRequest,
} from '../../gen/ts/wrenn/envd/v1/filesystem.js';
import { Code, type Reason } from '../../lib/errors/index.js';
import { rejectionOf as failureOf } from '../support/rejection.js';
import { callOptions, connectGuest, type GuestCalls, initializeGuest } from './guest-calls.js';
import type { GuestDaemonFixture } from './guest-daemon.js';

const TOKEN = 'token-of-a-sandbox-0123456789';
const PIECE_BYTES_MAX = 64 * 1024;
const MIB = 1024 * 1024;
const MS_PER_DAY = 86_400_000;
const EVENTS_TIMEOUT_MS = 10_000;

export function describeGuestFiles(
  name: string,
  createFixture: (context: Mocha.Context) => Promise<GuestDaemonFixture>,
): void {
  describe(`files of the guest daemon ${name}`, () => {
    let fixture: GuestDaemonFixture;
    let calls: GuestCalls;
    let folder: string;
    const options = callOptions(TOKEN);

    before(async function () {
      fixture = await createFixture(this);
      folder = fixture.newFolder;
      calls = connectGuest(fixture.target);
      await initializeGuest(calls, TOKEN);
    });

    after(async () => {
      calls?.close();
      await fixture?.close();
    });

    const at = (path: string) => `${folder}/${path}`;
    const write = (path: string, content = Buffer.from('content'), user = '', mode = 0) =>
      calls.files.writeFile({ path, content, user, mode }, options);
    const stat = (path: string) => calls.files.stat({ path }, options);
    const makeDir = (path: string, user = '', mode = 0) =>
      calls.files.makeDir({ path, user, mode }, options);
    const move = (source: string, destination: string) =>
      calls.files.move({ source, destination, user: '' }, options);
    const remove = (path: string) => calls.files.remove({ path }, options);
    const list = (path: string, fields = {}) =>
      calls.files.listDir({ path, depth: 1, entriesMax: 1000, after: '', ...fields }, options);

    async function read(path: string): Promise<Buffer> {
      const pieces: Buffer[] = [];
      for await (const { content } of calls.files.streamReadFile({ path }, options)) {
        expect(content.length).to.be.within(1, PIECE_BYTES_MAX);
        pieces.push(content);
      }
      return Buffer.concat(pieces);
    }

    async function* pieces(
      path: string,
      content: Buffer,
      fields = {},
    ): AsyncGenerator<StreamWriteFileRequest> {
      const first = { path, user: '', mode: 0, ...fields };
      yield { ...first, content: content.subarray(0, PIECE_BYTES_MAX) };
      for (let start = PIECE_BYTES_MAX; start < content.length; start += PIECE_BYTES_MAX) {
        const further = { path: '', user: '', mode: 0 };
        yield { ...further, content: content.subarray(start, start + PIECE_BYTES_MAX) };
      }
    }

    it('streams a large file in and out', async () => {
      const content = randomBytes(9 * MIB + 17);

      const { sizeBytes } = await calls.files.streamWriteFile(
        pieces(at('streamed/deep/file'), content, { mode: 0o600, user: 'nobody' }),
        options,
      );

      expect(sizeBytes).to.equal(content.length);
      expect((await read(at('streamed/deep/file'))).equals(content)).to.equal(true);
      expect(await stat(at('streamed/deep/file'))).to.include({ mode: 0o600, owner: 'nobody' });
    });

    it('streams an empty file', async () => {
      await calls.files.streamWriteFile(pieces(at('empty'), Buffer.alloc(0)), options);

      expect((await read(at('empty'))).length).to.equal(0);
      expect((await stat(at('empty'))).sizeBytes).to.equal(0n);
    });

    it('keeps what was there when a stream of a file breaks', async () => {
      await write(at('broken/file'), Buffer.from('before'));
      const cancel = new AbortController();
      async function* broken() {
        yield* pieces(at('broken/file'), Buffer.alloc(PIECE_BYTES_MAX, 'x'));
        cancel.abort();
        await new Promise(() => undefined);
      }

      await failureOf(calls.files.streamWriteFile(broken(), callOptions(TOKEN, cancel.signal)));

      expect((await read(at('broken/file'))).toString()).to.equal('before');
      expect(await names(at('broken'))).to.deep.equal(['file']);
    });

    it('says what is at a path', async () => {
      await write(at('stat/file'), Buffer.from('12345'), 'nobody', 0o640);

      const file = await stat(at('stat/file'));
      const directory = await stat(at('stat'));

      expect(file).to.deep.include({
        path: at('stat/file'),
        type: FileType.FILE_TYPE_FILE,
        sizeBytes: 5n,
        mode: 0o640,
        owner: 'nobody',
        symlinkTarget: '',
      });
      expect(Number(file.modifiedAtNs / 1_000_000n)).to.be.closeTo(Date.now(), MS_PER_DAY);
      expect(directory).to.include({
        type: FileType.FILE_TYPE_DIRECTORY,
        owner: 'nobody',
        mode: 0o755,
      });
    });

    async function names(path: string, depth = 1): Promise<string[]> {
      const { entries } = await list(path, { depth });
      return entries.map((entry) => entry.path.slice(path.length + 1));
    }

    it('lists a directory in the order of paths, down to a depth', async () => {
      for (const path of ['b/2', 'b/1/x', 'b-c', 'a', 'B']) await write(at(`listed/${path}`));

      expect(await names(at('listed'))).to.deep.equal(['B', 'a', 'b', 'b-c']);
      expect(await names(at('listed'), 2)).to.deep.equal(['B', 'a', 'b', 'b/1', 'b/2', 'b-c']);
      expect(await names(at('listed'), 64)).to.deep.equal(
        ['B', 'a', 'b', 'b/1', 'b/1/x', 'b/2', 'b-c'], //
      );
    });

    it('lists a directory part by part, also when it changes', async () => {
      const all = Array.from({ length: 25 }, (_, index) => `f${String(index).padStart(2, '0')}`);
      for (const file of all) await write(at(`paged/${file}`));

      const first = await list(at('paged'), { entriesMax: 10 });
      await remove(at('paged/f09'));
      const second = await list(at('paged'), { entriesMax: 10, after: at('paged/f09') });
      const third = await list(at('paged'), { entriesMax: 10, after: at('paged/f19') });

      const listed = [first, second, third].flatMap(({ entries }) => entries);
      expect(listed.map(({ path }) => path)).to.deep.equal(all.map((file) => at(`paged/${file}`)));
      expect([first, second, third].map(({ hasMore }) => hasMore)).to.deep.equal([
        true,
        true,
        false,
      ]);
    });

    it('makes directories, and those above them', async () => {
      const made = await makeDir(at('made/a/b'), 'nobody', 0o700);
      const again = await makeDir(at('made/a/b'), '', 0o755);

      expect(made).to.include({
        path: at('made/a/b'),
        type: FileType.FILE_TYPE_DIRECTORY,
        mode: 0o700,
        owner: 'nobody',
      });
      expect(again).to.include({ mode: 0o700, owner: 'nobody' });
      expect(await stat(at('made/a'))).to.include({ owner: 'nobody' });
    });

    it('moves files over files, and directories with what is in them', async () => {
      await write(at('move/from'), Buffer.from('moved'));
      await write(at('move/to'), Buffer.from('replaced'));
      await write(at('move/dir/a/file'), Buffer.from('inside'));

      const moved = await move(at('move/from'), at('move/to'));
      await move(at('move/dir'), at('move/new/parent/dir'));

      expect(moved).to.include({ path: at('move/to'), type: FileType.FILE_TYPE_FILE });
      expect((await read(at('move/to'))).toString()).to.equal('moved');
      expect((await read(at('move/new/parent/dir/a/file'))).toString()).to.equal('inside');
      expect(await names(at('move'))).to.deep.equal(['new', 'to']);
    });

    it('removes a file, and a directory with all that is in it', async () => {
      await write(at('removed/dir/a/b/file'));
      await write(at('removed/file'));

      await remove(at('removed/file'));
      await remove(at('removed/dir'));

      expect(await names(at('removed'))).to.deep.equal([]);
    });

    const unusable = [Code.FAILED_PRECONDITION, 'FILE_NOT_USABLE'] as const;
    const absent = [Code.NOT_FOUND, 'FILE_NOT_FOUND'] as const;
    const exists = [Code.ALREADY_EXISTS, 'FILE_EXISTS'] as const;
    const invalid = [Code.INVALID_ARGUMENT, 'INVALID_REQUEST'] as const;
    const failures: [string, () => Promise<unknown>, Code, Reason][] = [
      ['stat of nothing', () => stat(at('nothing')), ...absent],
      ['read of nothing', () => read(at('nothing')), ...absent],
      ['read of a directory', () => read(at('kinds')), ...unusable],
      ['list of nothing', () => list(at('nothing')), ...absent],
      ['list of a file', () => list(at('kinds/file')), ...unusable],
      ['remove of nothing', () => remove(at('nothing')), ...absent],
      ['move of nothing', () => move(at('nothing'), at('kinds/new')), ...absent],
      ['move of a file over a directory', () => move(at('kinds/file'), at('kinds/dir')), ...exists],
      ['move of a directory over a file', () => move(at('kinds/dir'), at('kinds/file')), ...exists],
      ['move into itself', () => move(at('kinds'), at('kinds/dir/in')), ...unusable],
      ['directory in place of a file', () => makeDir(at('kinds/file')), ...exists],
      ['directory below a file', () => makeDir(at('kinds/file/dir')), ...unusable],
      ['watch of nothing', () => firstEvent(at('nothing')), ...absent],
      ['watch of a file', () => firstEvent(at('kinds/file')), ...unusable],
      ['relative path', () => stat('etc/passwd'), ...invalid],
      ['path with a zero byte', () => stat('/etc\0/passwd'), ...invalid],
    ];
    for (const [what, call, code, reason] of failures) {
      it(`refuses a ${what}`, async () => {
        await write(at('kinds/file'));
        await makeDir(at('kinds/dir'));

        expect(await failureOf(call())).to.include({ code, reason });
      });
    }

    async function firstEvent(path: string): Promise<FileEvent | undefined> {
      for await (const event of calls.files.watchDir({ path, recursive: false }, options)) {
        return event;
      }
      return undefined;
    }

    /** Watches, does something, and takes events until one is what is waited for. */
    async function watchUntil(
      path: string,
      recursive: boolean,
      act: () => Promise<unknown>,
      isLast: (event: FileEvent) => boolean,
    ): Promise<FileEvent[]> {
      const signal = AbortSignal.timeout(EVENTS_TIMEOUT_MS);
      const events: FileEvent[] = [];
      const stream = calls.files.watchDir({ path, recursive }, callOptions(TOKEN, signal));
      for await (const event of stream) {
        if (event.type === FileEventType.FILE_EVENT_TYPE_READY) await act();
        else events.push(event);
        if (isLast(event)) return events;
      }
      throw new Error('the watch has ended');
    }

    const { FILE_EVENT_TYPE_CREATE, FILE_EVENT_TYPE_REMOVE, FILE_EVENT_TYPE_RENAME } =
      FileEventType;

    it('tells what happens in a directory, and not what happens below', async () => {
      await makeDir(at('watched/dir'));

      const events = await watchUntil(
        at('watched'),
        false,
        async () => {
          await write(at('watched/dir/file'));
          await makeDir(at('watched/new'));
          await move(at('watched/new'), at('watched/renamed'));
          await remove(at('watched/renamed'));
        },
        ({ type, path }) => type === FILE_EVENT_TYPE_REMOVE && path === at('watched/renamed'),
      );

      expect(events.every(({ path }) => dirname(path) === at('watched'))).to.equal(true);
      const kinds = [FILE_EVENT_TYPE_CREATE, FILE_EVENT_TYPE_RENAME, FILE_EVENT_TYPE_REMOVE];
      const told = events.filter(({ type, path }) => kinds.includes(type) && !path.endsWith('dir'));
      expect(told).to.deep.equal([
        event(FILE_EVENT_TYPE_CREATE, at('watched/new')),
        { ...event(FILE_EVENT_TYPE_RENAME, at('watched/renamed')), oldPath: at('watched/new') },
        event(FILE_EVENT_TYPE_REMOVE, at('watched/renamed')),
      ]);
    });

    it('tells what happens in directories that were made meanwhile', async () => {
      await makeDir(at('tree'));

      const events = await watchUntil(
        at('tree'),
        true,
        () => write(at('tree/a/b/file')),
        ({ path }) => path === at('tree/a/b/file'),
      );

      expect(events.map(({ path }) => path)).to.include.members([at('tree/a'), at('tree/a/b')]);
    });

    it('tells a move in and a move out as a creation and a removal', async () => {
      await makeDir(at('inside'));
      await makeDir(at('outside/dir'));

      const events = await watchUntil(
        at('inside'),
        false,
        async () => {
          await move(at('outside/dir'), at('inside/dir'));
          await move(at('inside/dir'), at('outside/dir'));
        },
        ({ type }) => type === FILE_EVENT_TYPE_REMOVE,
      );

      expect(events).to.deep.equal([
        event(FILE_EVENT_TYPE_CREATE, at('inside/dir')),
        event(FILE_EVENT_TYPE_REMOVE, at('inside/dir')),
      ]);
    });

    function event(type: FileEventType, path: string, isDirectory = true): FileEvent {
      return { type, path, oldPath: '', isDirectory };
    }
  });
}
