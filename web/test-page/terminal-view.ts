/** A live terminal: xterm.js over a conversation with a program. */
import { FitAddon } from '@xterm/addon-fit';
import { Terminal } from '@xterm/xterm';
import { button } from './actions.js';
import { element, field, row, select } from './dom.js';
import { showError } from './notices.js';
import { type First, ProcessStream } from './process-stream.js';

const SIGNALS = ['INT', 'TERM', 'KILL', 'HUP', 'QUIT', 'USR1', 'USR2', 'STOP', 'CONT'];
const SCROLLBACK_LINES = 5_000;
const FONT = '"DejaVu Sans Mono", ui-monospace, Menlo, Consolas, monospace';

export class TerminalView {
  readonly root: HTMLElement;
  readonly #sandboxId: string;
  readonly #status = element('p', { role: 'status', class: 'status' }, 'Not connected.');
  readonly #screen = element('div', { class: 'screen' });
  readonly #observer = new ResizeObserver(() => this.#fit.fit());
  #fit = new FitAddon();
  #terminal: Terminal | undefined;
  #stream: ProcessStream | undefined;

  constructor(sandboxId: string) {
    this.#sandboxId = sandboxId;
    const signals = Object.fromEntries(SIGNALS.map((name) => [`SIGNAL_${name}`, `SIG${name}`]));
    const signal = select(signals);
    this.root = element(
      'div',
      {},
      row(
        button('Open a shell', () => this.openShell(), { class: 'primary' }),
        button('Reconnect', () => this.#stream?.interrupt()),
        button('Detach', () => this.#detach()),
        field('Signal', signal),
        button('Send signal', () => this.#stream?.send({ signal: signal.value })),
      ),
      this.#status,
      this.#screen,
    );
    this.#observer.observe(this.#screen);
  }

  /** Starts a shell with a terminal of the size of the screen. */
  openShell(): void {
    const terminal = this.#newTerminal(true);
    const pty = { cols: terminal.cols, rows: terminal.rows };
    const env = { TERM: 'xterm-256color' };
    this.#open({ start: { cmd: '/bin/sh', args: ['-i'], env, pty } }, terminal);
  }

  /** Goes on with a program from the first output that is kept. */
  attach(processId: string, hasTerminal: boolean): void {
    const terminal = this.#newTerminal(hasTerminal);
    this.#open({ attach: { process_id: processId } }, terminal);
    if (hasTerminal) this.#stream?.send({ resize: { cols: terminal.cols, rows: terminal.rows } });
  }

  close(): void {
    this.#stream?.close();
    this.#observer.disconnect();
    this.#terminal?.dispose();
  }

  #detach(): void {
    this.#stream?.close();
    this.#say('Detached: the program goes on, see Processes.');
  }

  #newTerminal(hasTerminal: boolean): Terminal {
    this.#stream?.close();
    this.#terminal?.dispose();
    const terminal = new Terminal({
      // A program without a terminal ends its lines as a file does.
      convertEol: !hasTerminal,
      fontFamily: FONT,
      scrollback: SCROLLBACK_LINES,
      screenReaderMode: true,
      // What a program prints opens nothing, wherever it links to.
      linkHandler: { activate: () => undefined },
    });
    this.#fit = new FitAddon();
    terminal.loadAddon(this.#fit);
    terminal.open(this.#screen);
    this.#fit.fit();
    terminal.onData((text) => this.#stream?.type(new TextEncoder().encode(text)));
    terminal.onBinary((text) =>
      this.#stream?.type(Uint8Array.from(text, (character) => character.charCodeAt(0))),
    );
    if (hasTerminal) terminal.onResize((size) => this.#stream?.send({ resize: sizeOf(size) }));
    this.#terminal = terminal;
    return terminal;
  }

  #open(first: First, terminal: Terminal): void {
    this.#say('Connecting…');
    this.#stream = new ProcessStream(this.#sandboxId, first, {
      started: (processId) => this.#say(`Connected to process ${processId}.`),
      output: (bytes) => new Promise((resolve) => terminal.write(bytes, resolve)),
      gap: (bytes) => terminal.write(`\r\n[${bytes} bytes are not kept any more]\r\n`),
      waiting: () => this.#say('The connection is broken; connecting again…'),
      exited: ({ exit_code, signal }) =>
        this.#say(`The program ended with ${signal || `exit code ${exit_code}`}.`),
      failed: (error) => {
        this.#say('Not connected.');
        showError(error);
      },
    });
    terminal.focus();
  }

  #say(text: string): void {
    this.#status.textContent = text;
  }
}

function sizeOf({ cols, rows }: { cols: number; rows: number }) {
  return { cols, rows };
}
