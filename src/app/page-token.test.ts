import { expect } from 'chai';
import fc from 'fast-check';
import { nextPageToken, PAGE_SIZE_MAX, toPageRequest } from './page-token.js';

describe('page tokens', () => {
  it('lead back to where the page ended', () => {
    fc.assert(
      fc.property(
        fc.date({ min: new Date(0), max: new Date('9999-12-31'), noInvalidDate: true }),
        fc.stringMatching(/^[a-z0-9]{1,64}$/),
        (createdAt, id) => {
          const pageToken = nextPageToken({ items: [], next: { createdAt, id } });
          const { after } = toPageRequest({ pageSize: 7, pageToken });
          expect(after).to.deep.equal({ createdAt, id });
        },
      ),
    );
  });

  it('are empty on the last page', () => {
    expect(nextPageToken({ items: [], next: undefined })).to.equal('');
  });

  it('may be left out: then it is the first page, of the largest size', () => {
    expect(toPageRequest({ pageSize: 0, pageToken: '' })).to.deep.equal({
      size: PAGE_SIZE_MAX,
      after: undefined,
    });
  });

  it('are refused unless an answer can have held them', () => {
    const good = nextPageToken({ items: [], next: { createdAt: new Date(5), id: 'abc' } });
    const bad = [
      `${good}=`,
      ` ${good}`,
      good.slice(1),
      'x',
      '%',
      Buffer.from('05.abc').toString('base64url'),
    ];
    for (const pageToken of bad) expect(reasonOf(pageToken), pageToken).to.equal('INVALID_REQUEST');
    fc.assert(
      fc.property(fc.string(), (pageToken) => {
        fc.pre(pageToken !== '');
        expect(reasonOf(pageToken)).to.equal('INVALID_REQUEST');
      }),
    );
  });
});

function reasonOf(pageToken: string): string | undefined {
  try {
    toPageRequest({ pageSize: 0, pageToken });
    return undefined;
  } catch (error) {
    return (error as { reason: string }).reason;
  }
}
