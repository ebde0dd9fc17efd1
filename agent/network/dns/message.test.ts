import { expect } from 'chai';
import fc from 'fast-check';
import { answerTo, questionFor } from '../../../test/support/dns/messages.js';
import { errorAnswer, isAnswer, parseQuery, Rcode, rcodeOf, withId } from './message.js';

const parse = (message: Buffer) => {
  const query = parseQuery(message);
  if (!query) throw new Error('not a query');
  return query;
};

describe('DNS messages', () => {
  const question = questionFor('www.example.com', 7);

  it('finds the end of the question, also when records follow it', () => {
    expect(parse(question)).to.include({ id: 7, questionEnd: question.length, standard: true });
    const extended = Buffer.concat([question, Buffer.alloc(11)]);
    expect(parse(extended).questionEnd).to.equal(question.length);
  });

  it('takes no answer, no cut message and no strange name for a query', () => {
    expect(parseQuery(answerTo(question, '1.2.3.4'))).to.equal(undefined);
    for (let length = 0; length < question.length; length += 1) {
      expect(parseQuery(question.subarray(0, length)), `cut to ${length}`).to.equal(undefined);
    }
    const pointer = Buffer.from(question);
    pointer.writeUInt16BE(0xc00c, 12);
    expect(parseQuery(pointer), 'compressed name').to.equal(undefined);
    const label = 'a'.repeat(63);
    expect(parseQuery(questionFor(`${label}.${label}.${label}.${label}`)), 'long name').to.equal(
      undefined,
    );
  });

  it('survives any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
        const query = parseQuery(Buffer.from(bytes));
        expect(query?.questionEnd ?? 0).to.be.at.most(bytes.length);
      }),
    );
  });

  it('takes only an answer to the same question under the same id', () => {
    const query = parse(question);
    expect(isAnswer(answerTo(question, '1.2.3.4'), query, 7)).to.equal(true);
    expect(isAnswer(answerTo(question, '1.2.3.4'), query, 8), 'other id').to.equal(false);
    expect(isAnswer(question, query, 7), 'a question').to.equal(false);
    const other = answerTo(questionFor('www.example.net', 7), '1.2.3.4');
    expect(isAnswer(other, query, 7), 'other question').to.equal(false);
    expect(isAnswer(Buffer.alloc(3), query, 7), 'cut').to.equal(false);
  });

  it('takes an error without its question, and no success without it', () => {
    const bare = (rcode: number) => {
      const message = answerTo(question, '1.2.3.4', rcode).subarray(0, 12);
      message.writeUInt16BE(0, 4);
      return message;
    };
    expect(isAnswer(bare(Rcode.REFUSED), parse(question), 7)).to.equal(true);
    expect(isAnswer(bare(Rcode.NOERROR), parse(question), 7)).to.equal(false);
  });

  it('builds an error that answers its question', () => {
    const answer = errorAnswer(parse(question), Rcode.SERVFAIL);
    expect(isAnswer(answer, parse(question), 7)).to.equal(true);
    expect(rcodeOf(answer)).to.equal(Rcode.SERVFAIL);
    expect(answer.subarray(12)).to.deep.equal(question.subarray(12));
  });

  it('changes the id of a copy and leaves the message', () => {
    expect(parse(withId(question, 9)).id).to.equal(9);
    expect(parse(question).id).to.equal(7);
  });
});
