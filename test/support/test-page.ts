/** The test page as its users go through it, by labels and roles. */
import type { Locator, Page } from 'playwright-core';

export const PASSWORD = 'a long enough password';

/** Signs a new user up, makes an API key that the page then uses, and returns the key. */
export async function signUpWithKey(page: Page, email: string, keyName: string): Promise<string> {
  await page.getByLabel('E-mail').fill(email);
  await page.getByLabel('Password', { exact: true }).fill(PASSWORD);
  await page.getByRole('button', { name: 'Sign up' }).click();
  await page.getByLabel('Name of the key').fill(keyName);
  await page.getByRole('button', { name: 'Create key' }).click();
  const secret = page.locator('[data-secret]');
  await secret.waitFor();
  return (await secret.textContent()) ?? '';
}

/** Creates a sandbox and waits until the page shows it; returns its id. */
export async function createSandbox(
  page: Page,
  fields: { template?: string; metadata?: string } = {},
): Promise<string> {
  const form = page.getByRole('form', { name: 'New sandbox' });
  await form.getByLabel('Template or snapshot').fill(fields.template ?? '');
  await form.getByLabel('Metadata').fill(fields.metadata ?? '');
  const answer = page.waitForResponse(
    (response) =>
      response.request().method() === 'POST' && response.url().endsWith('/v1/sandboxes'),
  );
  await form.getByRole('button', { name: 'Create sandbox' }).click();
  const { sandbox_id } = (await (await answer).json()) as { sandbox_id: string };
  await page.getByRole('heading', { name: `Sandbox ${sandbox_id}` }).waitFor();
  return sandbox_id;
}

/** Runs a command in the shown sandbox and returns what the page shows of its output. */
export async function runCommand(page: Page, command: string): Promise<string> {
  await tab(page, 'Command').click();
  await page.getByRole('textbox', { name: 'Command', exact: true }).fill(command);
  await page.getByRole('button', { name: 'Run', exact: true }).click();
  await page.locator('[data-exit-code]').waitFor();
  return (await page.locator('pre.output').first().textContent()) ?? '';
}

/** Waits until the page shows the sandbox in this state. */
export async function waitForState(page: Page, state: string): Promise<void> {
  await page.locator(`[data-state="SANDBOX_STATE_${state}"]`).waitFor();
}

export function tab(page: Page, name: string): Locator {
  return page.getByRole('tab', { name });
}

/** What stands in the rows of the terminal. */
export async function terminalText(page: Page): Promise<string> {
  return (await page.locator('.xterm-rows > div').allTextContents())
    .map((line) => line.replaceAll('\u00a0', ' ').trimEnd())
    .join('\n');
}

/** Types into the terminal as a person does. */
export async function typeLine(page: Page, line: string): Promise<void> {
  await page.locator('.xterm-helper-textarea').focus();
  await page.keyboard.type(`${line}\n`);
}

/** The row of a list that holds this text. */
export function rowOf(page: Page, text: string): Locator {
  return page.getByRole('row').filter({ hasText: text });
}

/** Submits the form of this name. */
export async function submit(page: Page, form: string, button: string): Promise<void> {
  await page
    .getByRole('form', { name: form, exact: true })
    .getByRole('button', { name: button, exact: true })
    .click();
}
