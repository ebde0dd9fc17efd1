/** What the documents promise, against the project: links, commands and addresses. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { PassThrough } from 'node:stream';
import { expect } from 'chai';
import type { Command } from 'commander';
import { reachableAddress } from '../../cli/address.js';
import { readPlatformConfig } from '../../cli/config.js';
import { createProgram } from '../../cli/program.js';
import { nextSteps } from '../../cli/up/next-steps.js';
import { packageRoot } from '../../lib/files/package-root.js';
import { run } from '../../lib/process/run.js';
import { headingAnchors, linkTargets } from '../support/markdown.js';

const ROOT = packageRoot();
const EXTERNAL = /^[a-z]+:/;

const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');

describe('the documents', () => {
  let documents: string[];

  before(async () => {
    const patterns = ['*.md', ':(exclude)third_party'];
    const { stdout } = await run('git', ['ls-files', '-z', ...patterns], { cwd: ROOT });
    documents = stdout.split('\0').filter((path) => path && existsSync(join(ROOT, path)));
  });

  /** Of each match in any document, the place and the first group. */
  const mentions = (pattern: RegExp) =>
    documents.flatMap((path) =>
      [...read(path).matchAll(pattern)].map(([, found = '']) => ({ path, found })),
    );

  it('link to files, folders and headings that exist', () => {
    const links = documents.flatMap((path) =>
      linkTargets(read(path)).map((target) => ({ path, target })),
    );
    const own = links.filter(({ target }) => !EXTERNAL.test(target));
    expect(own).not.to.be.empty;
    expect(own.filter(({ path, target }) => !leadsSomewhere(path, target))).to.deep.equal([]);
  });

  it('name scripts of package.json', () => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
    const named = mentions(/\bnpm (?:run )?((?<=run )[a-z:-]+|test|start)\b/g);
    expect(named).not.to.be.empty;
    expect(named.filter(({ found }) => !(found in scripts))).to.deep.equal([]);
  });

  it('name commands that wrenn has, and so does what `npm start` prints', () => {
    const pattern = /(?:`|\.\/bin\/)wrenn ((?:[a-z]+ ?)+)/g;
    const printed = nextSteps(readPlatformConfig({}), 'wrn_key_of_nobody').join('\n');
    const named = [
      ...mentions(pattern),
      ...[...printed.matchAll(pattern)].map(([, found = '']) => ({ path: 'npm start', found })),
    ];
    expect(new Set(named.map(({ path }) => path))).to.include.keys('README.md', 'npm start');
    const program = wrenn();
    expect(named.filter(({ found }) => !hasCommand(program, found.split(' ')))).to.deep.equal([]);
  });

  it('name the addresses that the platform listens on when nothing is set', () => {
    const { httpAddress, grpcAddress } = readPlatformConfig({});
    const addresses = [httpAddress, grpcAddress].map(reachableAddress);
    const named = mentions(/\b((?:localhost|127\.0\.0\.1):707\d)\b/g);
    const found = new Set(named.map(({ found: text }) => text.replace('localhost', '127.0.0.1')));
    expect([...found]).to.have.members(addresses);
  });
});

function leadsSomewhere(document: string, target: string): boolean {
  const [path = '', anchor] = target.split('#');
  const absolute = path === '' ? join(ROOT, document) : join(ROOT, dirname(document), path);
  if (!existsSync(absolute)) return false;
  return anchor === undefined || headingAnchors(readFileSync(absolute, 'utf8')).includes(anchor);
}

function wrenn(): Command {
  const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()];
  return createProgram({ stdin, stdout, stderr, environment: {} }, { exitCode: 0 });
}

/** Words beyond the deepest command are its arguments, or the sentence around it. */
function hasCommand(command: Command, [word, ...rest]: string[]): boolean {
  if (command.commands.length === 0 || !word) return true;
  const next = command.commands.find((candidate) => candidate.name() === word);
  return next !== undefined && hasCommand(next, rest);
}
