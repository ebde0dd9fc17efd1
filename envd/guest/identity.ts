/**
 * What the host told the guest about itself. It stands in files of the run
 * directory, so that programs can read the ids and a restarted daemon knows
 * the variables.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { replaceFile } from '../replace-file.js';

/** Files that any program of the guest may read. */
const PUBLIC_MODE = 0o644;
const PRIVATE_MODE = 0o600;
const TEMPLATE_ID_FILE = '.WRENN_TEMPLATE_ID';
const SANDBOX_ID_FILE = '.WRENN_SANDBOX';
const ENVIRONMENT_FILE = 'envd-environment.json';

export class Identity {
  readonly #directory: string;
  #environment: Record<string, string>;

  constructor(runDirectory: string) {
    this.#directory = runDirectory;
    this.#environment = readEnvironment(join(runDirectory, ENVIRONMENT_FILE));
  }

  /** Variables of every program. */
  get environment(): Record<string, string> {
    return this.#environment;
  }

  setEnvironment(environment: Record<string, string>): void {
    replaceFile(join(this.#directory, ENVIRONMENT_FILE), JSON.stringify(environment), PRIVATE_MODE);
    this.#environment = { ...environment };
  }

  setTemplateId(templateId: string): void {
    replaceFile(join(this.#directory, TEMPLATE_ID_FILE), templateId, PUBLIC_MODE);
  }

  setSandboxId(sandboxId: string): void {
    replaceFile(join(this.#directory, SANDBOX_ID_FILE), sandboxId, PUBLIC_MODE);
  }
}

function readEnvironment(path: string): Record<string, string> {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Record<string, string>;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {};
    throw error;
  }
}
