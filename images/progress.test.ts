import { expect } from 'chai';
import { createProgress, type Screen } from './progress.js';

class RecordingScreen implements Screen {
  readonly isTTY: boolean;
  readonly columns = 80;
  text = '';

  constructor(isTTY: boolean) {
    this.isTTY = isTTY;
  }

  write(text: string): void {
    this.text += text;
  }

  /** The lines that the last drawing left on a terminal. */
  lines(): string[] {
    const drawing = this.text.slice(this.text.lastIndexOf('A\r') + 1);
    return drawing.replaceAll('\r', '').replaceAll('\x1b[2K', '').split('\n').slice(0, -1);
  }
}

describe('progress', () => {
  it('is plain lines where there is no terminal', () => {
    const screen = new RecordingScreen(false);
    let nowMs = 0;
    const progress = createProgress(screen, () => nowMs);
    const task = progress.start('tools');
    nowMs = 1500;
    task.step('compressing');
    task.fraction(0.5);
    nowMs = 2000;
    task.finish('made tools-1');
    progress.close();
    expect(screen.text).to.equal('tools: compressing (1.5 s)\ntools: made tools-1 (2.0 s)\n');
  });

  it('shows one line for each image on a terminal, with a bar where the share is known', () => {
    const screen = new RecordingScreen(true);
    const progress = createProgress(screen, () => 0);
    const tools = progress.start('tools');
    const minimal = progress.start('minimal');
    tools.step('compressing');
    tools.fraction(0.5);
    minimal.fail();
    const [first, second] = screen.lines();
    expect(first).to.match(/tools .*█{10}░{10} {2}50% {2}compressing/);
    expect(second).to.match(/✖ minimal/);
    tools.finish('made tools-1');
    progress.close();
    expect(screen.lines()).to.have.lengthOf(2);
    expect(screen.lines()[0]).to.match(/✔ tools .*made tools-1/);
  });

  it('never lets a line wrap', () => {
    const screen = new RecordingScreen(true);
    const progress = createProgress(screen, () => 0);
    const task = progress.start('minimal');
    task.finish('x'.repeat(200));
    progress.close();
    expect(screen.lines()[0]?.length).to.be.below(screen.columns);
  });

  it('draws nothing more after its end', () => {
    const screen = new RecordingScreen(true);
    const progress = createProgress(screen, () => 0);
    progress.start('tools').finish('done');
    progress.close();
    const { text } = screen;
    progress.close();
    expect(screen.text).to.equal(text);
  });
});
