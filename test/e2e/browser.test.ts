/** The test page in a real Chromium, before real machines: what a person does with a sandbox. */
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { expect } from 'chai';
import type { Browser, Page } from 'playwright-core';
import { CHROMIUM_INSTALL_TIMEOUT_MS, launchChromium } from '../support/chromium.js';
import { eventually } from '../support/eventually.js';
import { TestPlatform } from '../support/platform.js';
import { requireNeed } from '../support/requirements.js';
import {
  createSandbox,
  runCommand,
  signUpWithKey,
  submit,
  tab,
  terminalText,
  typeLine,
  waitForState,
} from '../support/test-page.js';
import { openWatched, type WatchedPage } from '../support/watched-page.js';

/** What a busy machine needs for a boot, a pause or a resume. */
const STEP_TIMEOUT_MS = 120_000;
/** More than the API takes in one message, so it is streamed. */
const UPLOAD_BYTES = 9 * 1024 * 1024 + 17;
const SNAPSHOT = 'browser-snapshot';

describe('the test page before real machines', function () {
  this.timeout(STEP_TIMEOUT_MS);
  let platform: TestPlatform;
  let browser: Browser;
  let watched: WatchedPage;
  let page: Page;
  let sandboxId: string;

  before(async function () {
    this.timeout(CHROMIUM_INSTALL_TIMEOUT_MS + STEP_TIMEOUT_MS);
    requireNeed(this, 'root', 'qemu', 'images', 'netns', 'chromium');
    browser = await launchChromium();
    platform = await TestPlatform.start();
    watched = await openWatched(browser, `${platform.httpUrl}/test`);
    ({ page } = watched);
    page.setDefaultTimeout(STEP_TIMEOUT_MS);
  });

  after(async function () {
    this.timeout(STEP_TIMEOUT_MS);
    await browser?.close();
    await platform?.[Symbol.asyncDispose]();
  });

  afterEach(() => {
    expect(watched?.faults ?? [], 'what a clean page does not do').to.deep.equal([]);
  });

  /** Waits until the terminal shows this. */
  const showsText = (text: string | RegExp) =>
    eventually(async () => expect(await terminalText(page)).to.match(new RegExp(text, 'm')), {
      timeoutMs: STEP_TIMEOUT_MS,
      pauseMs: 100,
    });

  const openTerminal = async () => {
    await tab(page, 'Terminal').click();
    await page.getByRole('button', { name: 'Open a shell' }).click();
    await page.getByText(/^Connected to process/).waitFor();
  };

  it('signs a user up and shows a new API key once', async () => {
    const key = await signUpWithKey(page, 'browser@example.com', 'browser');
    expect(key).to.match(/^wrn_key_/);
    await page.reload();
    await page.getByText('browser@example.com').waitFor();
    expect(await page.locator('[data-secret]').count()).to.equal(0);
    expect(page.url()).to.equal(`${platform.httpUrl}/test`);
  });

  it('creates a sandbox and runs a command in it', async () => {
    sandboxId = await createSandbox(page, { metadata: 'purpose=browser' });
    await waitForState(page, 'RUNNING');
    expect(await runCommand(page, 'hostname; echo $((6 * 7))')).to.equal(`${sandboxId}\n42\n`);
  });

  it('has a terminal that is typed on and follows the size of the screen', async () => {
    await openTerminal();
    await typeLine(page, 'echo typed-$((40 + 2))');
    await showsText('^typed-42$');
    await typeLine(page, 'stty size');
    await showsText(/^\d+ \d+$/);
    const [before] = /^\d+ \d+$/m.exec(await terminalText(page)) ?? [];
    await page.locator('.screen').evaluate((screen) => {
      Object.assign((screen as unknown as { style: object }).style, {
        width: '400px',
        height: '200px',
      });
    });
    await typeLine(page, `until [ "$(stty size)" != "${before}" ]; do sleep 0.1; done; stty size`);
    await showsText(new RegExp(`^(?!${before}$)\\d+ \\d+$`));
  });

  it('goes on after a broken connection with nothing lost and nothing twice', async () => {
    await typeLine(page, 'clear; for i in $(seq 1 8); do echo line-$i; sleep 0.5; done');
    await showsText('^line-2$');
    await page.getByRole('button', { name: 'Reconnect' }).click();
    await showsText('^line-8$');
    const lines = (await terminalText(page)).split('\n').filter((line) => /^line-\d$/.test(line));
    expect(lines).to.deep.equal(Array.from({ length: 8 }, (_, index) => `line-${index + 1}`));
  });

  it('uploads a file of any size and downloads the same bytes', async () => {
    const content = randomBytes(UPLOAD_BYTES);
    await tab(page, 'Files').click();
    await page
      .getByLabel('Files to upload')
      .setInputFiles({ name: 'bytes.bin', mimeType: 'application/octet-stream', buffer: content });
    await submit(page, 'Upload', 'Upload');
    const downloading = page.waitForEvent('download');
    await page.getByRole('button', { name: 'Download bytes.bin' }).click();
    const download = await downloading;
    expect(download.suggestedFilename()).to.equal('bytes.bin');
    expect((await readFile(await download.path())).equals(content)).to.equal(true);
  });

  it('makes, moves and removes what is in a folder', async () => {
    await page.getByLabel('Name of the folder').fill('made');
    await submit(page, 'New folder', 'Make folder');
    await page.getByRole('button', { name: 'made/' }).waitFor();
    await page.getByRole('button', { name: 'Move bytes.bin…' }).click();
    await page.getByLabel('New path').and(page.locator(':visible')).fill('/root/made/moved.bin');
    await submit(page, 'Move bytes.bin', 'Move');
    await page.getByRole('button', { name: 'made/' }).click();
    await page.getByRole('button', { name: 'Remove moved.bin' }).click();
    await page.getByText('Files: none.').waitFor();
  });

  it('keeps the terminal over a pause and a resume, and what is typed meanwhile', async () => {
    await openTerminal();
    await typeLine(page, 'clear; kept=alive-$$');
    await page.getByRole('button', { name: 'Pause', exact: true }).click();
    await waitForState(page, 'PAUSED');
    await typeLine(page, 'echo "$kept"');
    await page.getByRole('button', { name: 'Resume', exact: true }).click();
    await waitForState(page, 'RUNNING');
    await showsText(/^alive-\d+$/);
  });

  it('lists processes, signals one and attaches to it', async () => {
    await tab(page, 'Processes').click();
    await page.getByRole('textbox', { name: 'Program' }).fill('echo background; exec sleep 1000');
    await submit(page, 'Background program', 'Start in the background');
    const row = page.getByRole('row').filter({ hasText: 'sleep 1000' });
    await row.getByRole('button', { name: /^Attach to/ }).click();
    await showsText('^background$');
    await tab(page, 'Processes').click();
    await row.getByRole('button', { name: /^Signal/ }).click();
    await eventually(
      async () => {
        await page.getByRole('button', { name: 'Refresh processes' }).click();
        expect(await row.textContent()).to.include('SIGTERM');
      },
      { timeoutMs: STEP_TIMEOUT_MS, pauseMs: 250 },
    );
  });

  it('makes a snapshot, starts from it and deletes it', async () => {
    await page.getByLabel('Name of the snapshot').fill(SNAPSHOT);
    await submit(page, 'Snapshot', 'Create snapshot');
    await page.getByRole('button', { name: `Start from ${SNAPSHOT}` }).click();
    const template = page.getByLabel('Template or snapshot');
    expect(await template.inputValue()).to.equal(SNAPSHOT);
    const copyId = await createSandbox(page, { template: SNAPSHOT });
    await waitForState(page, 'RUNNING');
    expect(await runCommand(page, 'hostname')).to.equal(`${copyId}\n`);
    await page.getByRole('button', { name: 'Destroy' }).click();
    await page.getByText(`Sandbox ${copyId} is destroyed.`).waitFor();
    await page.getByRole('button', { name: `Delete snapshot ${SNAPSHOT}` }).click();
    await page.getByText(`Snapshot ${SNAPSHOT} is deleted.`).waitFor();
  });

  it('copies a sandbox, finds sandboxes by metadata, and destroys them', async () => {
    await page.getByLabel('Metadata filter').fill('purpose=browser');
    await submit(page, 'Filter of sandboxes', 'List sandboxes');
    await page.getByRole('button', { name: `Show sandbox ${sandboxId}` }).click();
    await page.getByRole('heading', { name: `Sandbox ${sandboxId}` }).waitFor();
    await submit(page, 'Fork', 'Fork');
    await page.getByText(/^Copy [a-z0-9]+ runs\.$/).waitFor();
    await page.getByRole('button', { name: 'Destroy' }).click();
    await page.getByText(`Sandbox ${sandboxId} is destroyed.`).waitFor();
    await page.getByRole('button', { name: 'Log out' }).click();
    await page.getByText('Nobody logged in').waitFor();
  });
});
