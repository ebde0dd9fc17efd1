import { expect } from 'chai';
import { FileEvent, FileEventType } from '../../gen/ts/wrenn/envd/v1/filesystem.js';
import { EVENTS_MAX, EventQueue } from './event-queue.js';

const READY = FileEventType.FILE_EVENT_TYPE_READY;
const CREATE = FileEventType.FILE_EVENT_TYPE_CREATE;
const WRITE = FileEventType.FILE_EVENT_TYPE_WRITE;
const RENAME = FileEventType.FILE_EVENT_TYPE_RENAME;
const OVERFLOW = FileEventType.FILE_EVENT_TYPE_OVERFLOW;
const END = new Error('the end');

const event = (type: FileEventType, path = '', oldPath = '') =>
  FileEvent.fromPartial({ type, path, oldPath });

describe('EventQueue', () => {
  let queue: EventQueue;

  beforeEach(() => {
    queue = new EventQueue();
  });

  /** Everything to the end. */
  async function drain(): Promise<FileEvent[]> {
    queue.fail(END);
    const events: FileEvent[] = [];
    try {
      for await (const each of queue.take()) events.push(each);
    } catch (error) {
      expect(error).to.equal(END);
      return events;
    }
    throw new Error('it had no end');
  }

  it('gives events in their order, and then the error', async () => {
    const events = [event(READY), event(CREATE, '/a'), event(WRITE, '/a'), event(CREATE, '/b')];
    for (const each of events) queue.push(each);

    expect(await drain()).to.deep.equal(events);
  });

  it('wakes who waits for an event', async () => {
    const waiting = queue.take().next();

    queue.push(event(CREATE, '/a'));

    expect((await waiting).value).to.deep.equal(event(CREATE, '/a'));
  });

  it('tells writes to a file once, as long as the last one has not been taken', async () => {
    for (const path of ['/a', '/b', '/a', '/b']) queue.push(event(WRITE, path));
    const taking = queue.take();

    expect((await taking.next()).value).to.deep.equal(event(WRITE, '/a'));
    for (const path of ['/a', '/b']) queue.push(event(WRITE, path));

    expect(await drain()).to.deep.equal([event(WRITE, '/b'), event(WRITE, '/a')]);
  });

  it('tells a write again after the file has got another name or was made anew', async () => {
    const events = [
      event(WRITE, '/a'),
      event(RENAME, '/b', '/a'),
      event(WRITE, '/b'),
      event(WRITE, '/a'),
      event(CREATE, '/a'),
      event(WRITE, '/a'),
    ];
    for (const each of events) queue.push(each);

    expect(await drain()).to.deep.equal(events);
  });

  it('tells one OVERFLOW in place of all that it has no room for, but keeps READY', async () => {
    queue.push(event(READY));
    for (let index = 0; index < EVENTS_MAX; index += 1) queue.push(event(CREATE, `/${index}`));

    const last = event(CREATE, `/${EVENTS_MAX - 1}`);
    expect(await drain()).to.deep.equal([event(READY), event(OVERFLOW), last]);
  });

  it('holds as many events as it may however many were taken before', async () => {
    const taking = queue.take();
    for (let index = 0; index < 3 * EVENTS_MAX; index += 1) {
      queue.push(event(CREATE, `/${index}`));
      expect((await taking.next()).value).to.deep.equal(event(CREATE, `/${index}`));
    }
    for (let index = 0; index < EVENTS_MAX; index += 1) queue.push(event(CREATE, `/${index}`));

    expect((await drain()).map(({ type }) => type)).not.to.include(OVERFLOW);
  });

  it('bounds the length of all paths', async () => {
    for (let index = 0; index < 1000; index += 1) {
      queue.push(event(CREATE, `/${index}/${'p'.repeat(4000)}`));
    }

    const events = await drain();
    expect(events[0]).to.deep.equal(event(OVERFLOW));
    expect(events.length).to.be.below(300);
  });

  it('tells one OVERFLOW of several in a row', async () => {
    for (let index = 0; index < 3; index += 1) queue.push(event(OVERFLOW));

    expect(await drain()).to.deep.equal([event(OVERFLOW)]);
  });
});
