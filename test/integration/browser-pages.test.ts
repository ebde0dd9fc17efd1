/**
 * The pages of the gateway in a real Chromium: what is called or printed as an
 * attacker would like stays text, and the documentation calls the API.
 */
import { expect } from 'chai';
import type { Browser, Page } from 'playwright-core';
import { CHROMIUM_INSTALL_TIMEOUT_MS, launchChromium } from '../support/chromium.js';
import { eventually } from '../support/eventually.js';
import { requireNeed } from '../support/requirements.js';
import {
  createSandbox,
  runCommand,
  signUpWithKey,
  submit,
  tab,
  terminalText,
  waitForState,
} from '../support/test-page.js';
import { CANARY, openWatched, type WatchedPage } from '../support/watched-page.js';
import { type LocalWrenn, localWrenn, type UpReport } from '../support/wrenn-up.js';

const TEST_TIMEOUT_MS = 120_000;

/** Runs where text is taken for HTML. No `/`, which ends a file name, and no `;`, which ends a command. */
const HOSTILE_NAME = `"><img src=x onerror=globalThis.${CANARY}=1>`;
const HOSTILE_TAG = `<script>globalThis.${CANARY}=1</script>${HOSTILE_NAME}`;
const LINK = 'click me';
/** Links in the first rows of the screen, then all that a terminal may be asked to do. */
const HOSTILE_OUTPUT = [
  `\x1b[2J\x1b[H\x1b]8;;javascript:globalThis.${CANARY}=1\x07${LINK}\x1b]8;;\x07\r\n`,
  `\x1b]8;;https://elsewhere.example/\x07elsewhere\x1b]8;;\x07\r\n`,
  `\x1b]0;${HOSTILE_TAG}\x07\x1b]52;c;aG9zdGlsZQ==\x07\x1b[21t\x1b[5;5t\x1bP+q544e\x1b\\`,
  `${HOSTILE_TAG}\r\n\x1b[38;2;1;2;3m\x1b[48;5;9mcolours\x1b[0m\r\n`,
  '\x1b[?1049h\x1b[?1049l\x1b[9;999999999999H\xff\xfe\x00\r\nthe end\r\n',
].join('');

describe('pages in a browser', function () {
  this.timeout(TEST_TIMEOUT_MS);
  let wrenn: LocalWrenn;
  let report: UpReport;
  let browser: Browser;

  before(async function () {
    this.timeout(CHROMIUM_INSTALL_TIMEOUT_MS + TEST_TIMEOUT_MS);
    requireNeed(this, 'chromium');
    browser = await launchChromium();
    wrenn = await localWrenn();
    ({ report } = await wrenn.up());
  });

  after(async () => {
    await browser?.close();
    await wrenn?.[Symbol.asyncDispose]();
  });

  const open = (path: string) => openWatched(browser, `http://${report.http_address}${path}`);

  describe('the test page', () => {
    let watched: WatchedPage;
    let page: Page;

    before(async () => {
      watched = await open('/test');
      ({ page } = watched);
      await signUpWithKey(page, 'hostile@example.com', HOSTILE_NAME);
    });

    after(() => watched?.[Symbol.asyncDispose]());

    afterEach(async () => {
      expect(watched.faults).to.deep.equal([]);
      expect(await watched.canary()).to.equal(undefined);
    });

    it('shows hostile names of keys and hostile metadata as text', async () => {
      await page.getByRole('cell', { name: HOSTILE_NAME, exact: true }).waitFor();
      await createSandbox(page, { metadata: `label=${HOSTILE_TAG}` });
      await waitForState(page, 'RUNNING');
      const shown = page.locator('#sandbox .facts').getByText(HOSTILE_TAG);
      expect(await shown.textContent()).to.equal(`label=${HOSTILE_TAG}`);
      await page.getByRole('cell', { name: `label=${HOSTILE_TAG}` }).waitFor();
    });

    it('shows hostile names of files and folders as text', async () => {
      await tab(page, 'Files').click();
      await page.getByLabel('Files to upload').setInputFiles({
        name: HOSTILE_NAME,
        mimeType: 'text/html',
        buffer: Buffer.from(HOSTILE_OUTPUT, 'latin1'),
      });
      await submit(page, 'Upload', 'Upload');
      await page.getByRole('cell', { name: HOSTILE_NAME, exact: true }).waitFor();
      await page.getByLabel('Name of the folder').fill(`folder ${HOSTILE_NAME}`);
      await submit(page, 'New folder', 'Make folder');
      await page.getByRole('button', { name: `folder ${HOSTILE_NAME}/` }).waitFor();
      const downloading = page.waitForEvent('download');
      await page.getByRole('button', { name: `Download ${HOSTILE_NAME}` }).click();
      expect(await (await downloading).failure()).to.equal(null);
    });

    it('shows hostile output of a command as text', async () => {
      expect(await runCommand(page, `cat '/root/${HOSTILE_NAME}'`)).to.include(HOSTILE_TAG);
    });

    it('draws hostile output in the terminal, and no link of it leads anywhere', async () => {
      await tab(page, 'Processes').click();
      await page.getByRole('textbox', { name: 'Program' }).fill(`cat '/root/${HOSTILE_NAME}'`);
      await submit(page, 'Background program', 'Start in the background');
      await page.getByRole('button', { name: /^Attach to/ }).click();
      await eventually(async () => {
        expect(await terminalText(page))
          .to.include('the end')
          .and.include('colours')
          .and.include(LINK);
      });
      await clickLink(page, 1);
      expect(await page.title()).to.equal('Wrenn test page');
    });

    it('keeps credentials out of addresses', async () => {
      const secret = (await page.locator('[data-secret]').textContent()) ?? '';
      const addresses = await page.evaluate(() =>
        performance.getEntriesByType('resource').map(({ name }) => name),
      );
      expect(addresses).not.to.deep.equal([]);
      expect([page.url(), ...addresses].filter((each) => each.includes(secret))).to.deep.equal([]);
    });
  });

  it('shows an error with its reason, its message and the id of the request', async () => {
    await using watched = await open('/test');
    const { page } = watched;
    await page.getByLabel('E-mail').fill('nobody@example.com');
    await page.getByLabel('Password', { exact: true }).fill('a wrong password');
    const answering = page.waitForResponse('**/v1/auth/login');
    await page.getByRole('button', { name: 'Log in' }).click();
    const requestId = (await answering).headers()['x-request-id'] ?? 'none';
    const notice = page.locator('.notice.error');
    expect(await notice.textContent())
      .to.include('LOGIN_FAILED')
      .and.include(requestId);
    // Chromium itself notes each answer that is an error.
    expect(watched.faults).to.have.length(1);
    expect(watched.faults[0]).to.include('401');
  });

  it('lets the documentation call the API with a key', async () => {
    await using watched = await open('/docs');
    const { page } = watched;
    await page.getByRole('button', { name: 'Authorize' }).first().click();
    const scheme = page.locator('.auth-container').filter({ hasText: 'x-api-key' });
    await scheme.locator('input').fill(report.api_key);
    await scheme.getByRole('button', { name: 'Apply credentials' }).click();
    await page.locator('.auth-btn-wrapper').getByRole('button', { name: 'Close' }).first().click();
    const operation = page.locator('[id$=SandboxService_ListSandboxes]');
    await operation.locator('.opblock-summary-control').click();
    await operation.getByRole('button', { name: 'Execute' }).click();
    const status = operation.locator('.live-responses-table .response-col_status').last();
    await eventually(async () => expect(await status.textContent()).to.match(/^200/));
    expect(watched.faults).to.deep.equal([]);
  });
});

/** Clicks on the link at the beginning of a row of the terminal, once the terminal has found it. */
async function clickLink(page: Page, index: number): Promise<void> {
  const screen = page.locator('.xterm-screen');
  const rows = await page.locator('.xterm-rows > div').count();
  const { height = 0 } = (await screen.boundingBox()) ?? {};
  const position = { x: 20, y: ((index + 0.5) * height) / rows };
  await screen.hover({ position });
  await page.locator('.xterm-cursor-pointer').waitFor();
  await screen.click({ position });
}
