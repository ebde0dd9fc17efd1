/**
 * A page of a real browser of which everything is noted that a clean page does
 * not do: errors, warnings, dialogs, pop-ups, and requests to another origin.
 */
import type { Browser, Page } from 'playwright-core';

/** Set by hostile names and output, if they get to run. */
export const CANARY = 'wrennCanary';
const WAIT_TIMEOUT_MS = 20_000;

export interface WatchedPage extends AsyncDisposable {
  page: Page;
  /** One line for each thing that a clean page does not do; console errors hold CSP violations. */
  readonly faults: string[];
  /** Whether hostile text has run as script. */
  canary(): Promise<unknown>;
}

/** Opens a page of its own context, so nothing is shared with other pages. */
export async function openWatched(browser: Browser, address: string): Promise<WatchedPage> {
  const context = await browser.newContext({ acceptDownloads: true });
  const faults: string[] = [];
  context.setDefaultTimeout(WAIT_TIMEOUT_MS);
  const page = await context.newPage();
  context.on('page', (other) => faults.push(`pop-up: ${other.url()}`));
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') {
      faults.push(`console ${message.type()}: ${message.text()}`);
    }
  });
  page.on('pageerror', (error) => faults.push(`page error: ${error.message}`));
  page.on('dialog', (dialog) => {
    faults.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  const { origin, host } = new URL(address);
  const note = (url: string) => {
    const isOwn = url.startsWith(`${origin}/`) || url.startsWith(`ws://${host}/`);
    if (!isOwn && !url.startsWith(`blob:${origin}/`)) faults.push(`request to ${url}`);
  };
  page.on('request', (request) => note(request.url()));
  page.on('websocket', (socket) => note(socket.url()));
  await page.goto(address);
  return {
    page,
    faults,
    canary: () => page.evaluate((name) => (globalThis as Record<string, unknown>)[name], CANARY),
    [Symbol.asyncDispose]: () => context.close(),
  };
}
