/**
 * Shows how a build goes on: on a terminal one line per image with a bar, the step and the time,
 * drawn over and over; elsewhere a plain line whenever a step begins or an image ends.
 */

/** Where the lines go. */
export interface Screen {
  isTTY?: boolean;
  columns?: number;
  write(text: string): unknown;
}

/** One image in the making. */
export interface ProgressTask {
  /** Begins a step, such as `installing packages`. */
  step(text: string): void;
  /** How much of the current step is done, from 0 to 1, where that is known. */
  fraction(value: number): void;
  finish(text: string): void;
  fail(): void;
}

export interface Progress {
  start(name: string): ProgressTask;
  /** Ends the drawing; the last state stays on the terminal. */
  close(): void;
}

const REDRAW_MS = 100;
const COLUMNS_FALLBACK = 80;
const NAME_COLUMNS = 10;
const BAR_COLUMNS = 20;
const MARKS = { running: '…', done: '✔', failed: '✖' };

interface Line {
  name: string;
  text: string;
  /** From 0 to 1; undefined where it is not known. */
  fraction: number | undefined;
  state: keyof typeof MARKS;
  startedAtMs: number;
  endedAtMs: number | undefined;
}

export function createProgress(
  screen: Screen,
  now: () => number = () => performance.now(),
): Progress {
  return screen.isTTY ? new TerminalProgress(screen, now) : new PlainProgress(screen, now);
}

/** A new line of text for everything that happens. */
class PlainProgress implements Progress {
  readonly #screen: Screen;
  readonly #now: () => number;

  constructor(screen: Screen, now: () => number) {
    this.#screen = screen;
    this.#now = now;
  }

  start(name: string): ProgressTask {
    const startedAtMs = this.#now();
    const print = (text: string) => {
      this.#screen.write(`${name}: ${text} (${seconds(this.#now() - startedAtMs)})\n`);
    };
    return { step: print, fraction: () => undefined, finish: print, fail: () => print('failed') };
  }

  close(): void {
    // Every line is out already.
  }
}

/** A block of lines, one for each image, that is drawn anew in its place. */
class TerminalProgress implements Progress {
  readonly #screen: Screen;
  readonly #now: () => number;
  readonly #lines: Line[] = [];
  #linesDrawn = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(screen: Screen, now: () => number) {
    this.#screen = screen;
    this.#now = now;
  }

  start(name: string): ProgressTask {
    const line: Line = {
      name,
      text: '',
      fraction: undefined,
      state: 'running',
      startedAtMs: this.#now(),
      endedAtMs: undefined,
    };
    this.#lines.push(line);
    this.#timer ??= setInterval(() => this.#draw(), REDRAW_MS).unref();
    const end = (state: Line['state'], text: string) => {
      Object.assign(line, { state, text, endedAtMs: this.#now() });
      this.#draw();
    };
    return {
      step: (text) => void Object.assign(line, { text, fraction: undefined }),
      fraction: (value) => void Object.assign(line, { fraction: value }),
      finish: (text) => end('done', text),
      fail: () => end('failed', line.text),
    };
  }

  close(): void {
    if (!this.#timer) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#draw();
  }

  #draw(): void {
    if (this.#lines.length === 0) return;
    const columns = this.#screen.columns || COLUMNS_FALLBACK;
    const up = this.#linesDrawn > 0 ? `\x1b[${this.#linesDrawn}A` : '';
    const lines = this.#lines.map((line) => {
      const text = drawLine(line, this.#now());
      // A line that wraps would shift everything above it.
      return `\r\x1b[2K${[...text].slice(0, columns - 1).join('')}\n`;
    });
    this.#linesDrawn = this.#lines.length;
    this.#screen.write(up + lines.join(''));
  }
}

function drawLine(line: Line, nowMs: number): string {
  const elapsed = seconds((line.endedAtMs ?? nowMs) - line.startedAtMs);
  const head = `${MARKS[line.state]} ${line.name.padEnd(NAME_COLUMNS)} ${elapsed.padStart(7)}`;
  if (line.state !== 'running' || line.fraction === undefined) return `${head}  ${line.text}`;
  const fraction = Math.min(Math.max(line.fraction, 0), 1);
  const filled = Math.round(fraction * BAR_COLUMNS);
  const bar = '█'.repeat(filled) + '░'.repeat(BAR_COLUMNS - filled);
  const percent = `${Math.round(fraction * 100)}%`.padStart(4);
  return `${head}  ${bar} ${percent}  ${line.text}`;
}

function seconds(durationMs: number): string {
  return `${(durationMs / 1000).toFixed(1)} s`;
}
