/** Writes the OpenAPI document to the path that is its argument. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { packageRoot } from '../../lib/files/package-root.js';
import { descriptors } from '../../lib/rpc/descriptors.js';
import { buildDocument } from './document.js';
import { EXAMPLES, PARAMETER_EXAMPLES } from './examples.js';

const LINE_WIDTH = 100;
const PUBLIC_PACKAGE = 'wrenn.v1';

const [, , path] = process.argv;
if (!path) throw new Error('say where to write the document');
const { version } = JSON.parse(readFileSync(join(packageRoot(), 'package.json'), 'utf8')) as {
  version: string;
};
const document = buildDocument({
  registry: descriptors().registry,
  packageName: PUBLIC_PACKAGE,
  version,
  examples: EXAMPLES,
  parameterExamples: PARAMETER_EXAMPLES,
});
writeFileSync(
  path,
  `# Written by npm run generate out of proto/ and src/openapi/.\n${stringify(document, {
    lineWidth: LINE_WIDTH,
    aliasDuplicateObjects: false,
  })}`,
);
