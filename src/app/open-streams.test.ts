import { expect } from 'chai';
import { Code, WrennError } from '../../lib/errors/index.js';
import { silentLog } from '../../lib/log/log.js';
import { eventually } from '../../test/support/eventually.js';
import { type FindKeys, OpenStreams } from './open-streams.js';
import { STREAM_LIMITS, UPLOAD_LIMITS } from './stream-slots.js';

const CANCELLED = new WrennError(Code.CANCELLED, 'CANCELLED', 'cancelled');

function caller(apiKeyId = 'key1', teamId = 'team1') {
  return { teamId, apiKeyId, signal: new AbortController().signal };
}

function openStreams(findKeys: FindKeys = async (ids) => ids, intervalMs?: number) {
  return new OpenStreams(findKeys, silentLog, intervalMs);
}

describe('open streams', () => {
  it('of a key end when it is deleted, and those of other keys go on', () => {
    const streams = openStreams();
    const [mine, other] = [streams.open(caller('key1')), streams.open(caller('key2'))];
    streams.revoke('key1');
    expect([mine.signal.aborted, other.signal.aborted]).to.deep.equal([true, false]);
    expect(mine.explain(CANCELLED)).to.include({ reason: 'CREDENTIAL_INVALID' });
    expect(other.explain(CANCELLED)).to.equal(CANCELLED);
    mine.close();
    other.close();
  });

  it('end within an interval when another process has deleted their key', async () => {
    let living = ['key1', 'key2'];
    const streams = openStreams(async () => living, 5);
    const [mine, other] = [streams.open(caller('key1')), streams.open(caller('key2'))];
    living = ['key2'];
    await eventually(() => expect(mine.signal.aborted).to.equal(true));
    expect(other.signal.aborted).to.equal(false);
    mine.close();
    other.close();
  });

  it('go on when nobody can say whether their key lives', async () => {
    const streams = openStreams(async () => {
      throw new Error('no database');
    });
    const stream = streams.open(caller());
    await streams.check();
    expect(stream.signal.aborted).to.equal(false);
    stream.close();
  });

  it('ask about no key once they are closed', async () => {
    const asked: string[][] = [];
    const streams = openStreams(async (ids) => {
      asked.push(ids);
      return ids;
    });
    const [first, second] = [streams.open(caller('key1')), streams.open(caller('key1'))];
    first.close();
    await streams.check();
    second.close();
    await streams.check();
    expect(asked).to.deep.equal([['key1'], []]);
  });

  it('are so many for one team, whatever keys it has, and room comes back', () => {
    const streams = openStreams();
    const open = Array.from({ length: STREAM_LIMITS.perTeamMax }, (_, index) =>
      streams.open(caller(`key${index % 3}`)),
    );
    expect(() => streams.open(caller()))
      .to.throw(WrennError)
      .with.property('reason', 'STREAM_LIMIT');
    streams.open(caller('other', 'team2')).close();
    open.pop()?.close();
    open.push(streams.open(caller()));
    for (const stream of open) stream.close();
  });

  it('are fewer when they are uploads, and each of those is a stream, too', () => {
    const streams = openStreams();
    const uploads = Array.from({ length: UPLOAD_LIMITS.perTeamMax }, () =>
      streams.openUpload(caller()),
    );
    expect(() => streams.openUpload(caller()))
      .to.throw()
      .with.property('reason', 'STREAM_LIMIT');
    const others = Array.from({ length: STREAM_LIMITS.perTeamMax - UPLOAD_LIMITS.perTeamMax }, () =>
      streams.open(caller()),
    );
    expect(() => streams.open(caller()))
      .to.throw()
      .with.property('reason', 'STREAM_LIMIT');
    uploads.pop()?.close();
    others.push(streams.open(caller()));
    // No upload is counted that has found no room among the streams.
    expect(() => streams.openUpload(caller()))
      .to.throw()
      .with.property('reason', 'STREAM_LIMIT');
    others.pop()?.close();
    uploads.push(streams.openUpload(caller()));
    for (const stream of [...uploads, ...others]) stream.close();
  });
});
