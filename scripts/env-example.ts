/**
 * Writes .env.example out of the table of settings; with `--check` it compares
 * instead and ends with 1 when they differ.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SETTINGS } from '../lib/config/settings.js';
import { packageRoot } from '../lib/files/package-root.js';

const path = join(packageRoot(), '.env.example');
const header = `# Settings of Wrenn. Copy this file to .env and take the # off the lines to change.
# Variables of the environment go before those of the file.
`;
const entries = SETTINGS.map(({ name, fallback, description }) => {
  const isValue = !fallback.includes(' ');
  return isValue
    ? `# ${description}\n# ${name}=${fallback}\n`
    : `# ${description} Default: ${fallback}.\n# ${name}=\n`;
});
const content = [header, ...entries].join('\n');

if (!process.argv.includes('--check')) {
  writeFileSync(path, content);
} else if (readFileSync(path, 'utf8') !== content) {
  console.error('.env.example differs from lib/config/settings.ts; run npm run generate');
  process.exitCode = 1;
}
