import { expect } from 'chai';
import { findFaults } from './tidy.mjs';

/** @param {Record<string, string>} files */
const faultsOf = (files) => findFaults(new Map(Object.entries(files)));

describe('tidy', () => {
  it('finds nothing wrong with tidy files', () => {
    const files = {
      'lib/used.ts': 'export const used = 1;\n',
      'lib/main.ts': "import { used } from './used.js';\n",
      'docs/guide.md': '# Guide\n\n```sh\n# a comment of a shell\n```\n',
    };
    expect(faultsOf(files)).to.deep.equal([]);
  });

  for (const [title, path, content] of [
    ['a word of unfinished work', 'lib/main.ts', `// ${'TO'}${'DO'}: later\n`],
    ['the address of a package registry', 'lib/main.ts', `// from ${'pypi'}.org\n`],
    ['a document with two titles', 'docs/guide.md', '# One\n\n# Two\n'],
    ['a document without a title', 'docs/guide.md', 'Text.\n'],
    ['a file name that is not kebab-case', 'lib/someThing/main.ts', 'export {};\n'],
    ['a log file', 'build.log', 'text\n'],
    ['a source that is too long', 'lib/main.ts', 'export {};\n'.repeat(401)],
    ['a source that nothing uses', 'lib/forgotten.ts', 'export {};\n'],
  ]) {
    it(`finds ${title}`, () => {
      const faults = faultsOf({ [path]: content });
      expect(faults).to.have.length(1);
      expect(faults[0]).to.include(path);
    });
  }
});
