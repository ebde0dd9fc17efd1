import { expect } from 'chai';
import { OutputTail } from './output-tail.js';

describe('output tail', () => {
  it('keeps the last bytes, however they arrive', () => {
    const tail = new OutputTail(5);
    const seen = [];
    for (const piece of ['ab', 'cd', 'ef', '', '0123456789', 'x']) {
      tail.append(Buffer.from(piece));
      seen.push(tail.text());
    }

    expect(seen).to.deep.equal(['ab', 'abcd', 'bcdef', 'bcdef', '56789', '6789x']);
  });

  it('makes text of anything that is safe to print', () => {
    const tail = new OutputTail(100);

    tail.append(Buffer.from('\u001b[31mred\u0007\r\n\ttab\u009b'));
    tail.append(Buffer.from([0xff, 0x00]));

    expect(tail.text()).to.equal('\ufffd[31mred\ufffd\n\ttab\ufffd\ufffd\ufffd');
  });
});
