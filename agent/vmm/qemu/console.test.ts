import { expect } from 'chai';
import { CONSOLE_BYTES } from './command-line.js';
import { GuestConsole } from './console.js';

describe('guest console', () => {
  /** A console over a ring from which each read takes what was printed since the last one. */
  function consoleOf(...printed: (string | Error)[]) {
    const commands: string[] = [];
    const guestConsole = new GuestConsole(async (command) => {
      commands.push(command);
      const output = printed.shift() ?? '';
      if (output instanceof Error) throw output;
      return Buffer.from(output).toString('base64');
    });
    return { guestConsole, commands };
  }

  it('puts together what several reads took out of the ring', async () => {
    const { guestConsole, commands } = consoleOf('boot', 'ing\r\n', '');

    expect(await guestConsole.read()).to.equal('boot');
    expect(await guestConsole.read()).to.equal('booting\n');
    expect(await guestConsole.read()).to.equal('booting\n');
    expect(guestConsole.lastText).to.equal('booting\n');
    expect(new Set(commands)).to.deep.equal(new Set(['ringbuf-read']));
  });

  it('stays bounded when the guest prints without end', async () => {
    const { guestConsole } = consoleOf(
      ...Array.from({ length: 5 }, () => 'y'.repeat(CONSOLE_BYTES)),
    );
    for (let reads = 0; reads < 5; reads += 1) await guestConsole.read();

    expect(guestConsole.lastText).to.have.length(CONSOLE_BYTES);
  });

  it('says what it has when the VMM does not answer', async () => {
    const { guestConsole } = consoleOf('last line', new Error('no answer'));

    await guestConsole.read();

    expect(await guestConsole.read()).to.equal('last line');
  });

  it('asks once at a time', async () => {
    let asked = 0;
    let answer: (output: string) => void = () => undefined;
    const guestConsole = new GuestConsole(() => {
      asked += 1;
      return new Promise((resolve) => {
        answer = resolve;
      });
    });

    const reads = [guestConsole.read(), guestConsole.read()];
    answer(Buffer.from('once').toString('base64'));

    expect(await Promise.all(reads)).to.deep.equal(['once', 'once']);
    expect(asked).to.equal(1);
  });
});
