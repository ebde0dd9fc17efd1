/**
 * The terminal of a fake guest, as the kernel sets one up: input is echoed and
 * handed over line by line, ^C and ^\ end the program, ^D ends the input, and
 * output gets a carriage return before each newline.
 */
import type { TerminalSize } from '../../../../gen/ts/wrenn/envd/v1/process.js';

const INTERRUPT = 0x03;
const END_OF_INPUT = 0x04;
const BACKSPACE = 0x08;
const NEWLINE = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const QUIT = 0x1c;
const DELETE = 0x7f;
const PRINTABLE_FROM = 0x20;
/** Offset of the letter that stands for a control character, as in `^C`. */
const CARET_OFFSET = 0x40;
const SIGINT = 2;
const SIGQUIT = 3;
/** Characters of one line; what exceeds it is dropped, as the kernel does. */
const LINE_BYTES_MAX = 4095;

/** What becomes of a piece of input. */
export interface TerminalInput {
  /** What the terminal shows. */
  echo: Buffer;
  /** Lines that the program gets; an empty one is the end of the input. */
  lines: Buffer[];
  /** Signals that the program gets. */
  signals: number[];
}

export interface TerminalState {
  size: TerminalSize;
  /** The line that is being typed, in base64. */
  line: string;
}

export class FakeTerminal {
  size: TerminalSize;
  #line: number[] = [];

  constructor(size: TerminalSize) {
    this.size = size;
  }

  static import({ size, line }: TerminalState): FakeTerminal {
    const terminal = new FakeTerminal(size);
    terminal.#line = [...Buffer.from(line, 'base64')];
    return terminal;
  }

  export(): TerminalState {
    return { size: this.size, line: Buffer.from(this.#line).toString('base64') };
  }

  /** What output looks like on the terminal. */
  output(data: Buffer): Buffer {
    if (!data.includes(NEWLINE)) return data;
    return Buffer.from(data.toString('latin1').replaceAll('\n', '\r\n'), 'latin1');
  }

  /** Takes what is typed. */
  type(data: Buffer): TerminalInput {
    const echo: number[] = [];
    const lines: Buffer[] = [];
    const signals: number[] = [];
    for (const byte of data) {
      const signal = { [INTERRUPT]: SIGINT, [QUIT]: SIGQUIT }[byte];
      if (signal !== undefined) {
        signals.push(signal);
        this.#line = [];
        echo.push(...shown(byte));
      } else if (byte === END_OF_INPUT) {
        lines.push(this.#takeLine());
      } else if (byte === NEWLINE || byte === CARRIAGE_RETURN) {
        this.#line.push(NEWLINE);
        lines.push(this.#takeLine());
        echo.push(CARRIAGE_RETURN, NEWLINE);
      } else if (byte === DELETE || byte === BACKSPACE) {
        if (this.#line.pop() !== undefined) echo.push(BACKSPACE, PRINTABLE_FROM, BACKSPACE);
      } else if (this.#line.length < LINE_BYTES_MAX) {
        this.#line.push(byte);
        echo.push(...shown(byte));
      }
    }
    return { echo: Buffer.from(echo), lines, signals };
  }

  #takeLine(): Buffer {
    const line = Buffer.from(this.#line);
    this.#line = [];
    return line;
  }
}

function shown(byte: number): number[] {
  const isControl = byte < PRINTABLE_FROM && byte !== 0x09;
  return isControl ? [...Buffer.from('^'), byte + CARET_OFFSET] : [byte];
}
