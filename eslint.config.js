/**
 * What neither the compiler nor biome checks: who may import whom, promises
 * that nobody awaits, and the size of files and functions.
 */
import { createTypeScriptImportResolver } from 'eslint-import-resolver-typescript';
import importX from 'eslint-plugin-import-x';
import tseslint from 'typescript-eslint';

const LINES_PER_FILE_MAX = 400;
const LINES_PER_FUNCTION_MAX = 70;

const CONFIG_FILES = ['**/config.ts', 'lib/config/**'];
const TEST_FILES = ['test/**/*.ts', '**/*.test.ts', '**/*.test.mjs'];

/** Leaves that own a long-lived child process; everybody else calls lib/process/run.ts. */
const CHILD_PROCESS_OWNERS = [
  'lib/process/**',
  'lib/postgres/**',
  'agent/vmm/launch/**',
  'envd/process/**',
  'envd/filesystem/watch-directory.ts',
  'cli/up/**',
  'cli/demo/**',
  'images/**',
  'bench/background-process.ts',
];

/** Who may talk SQL. */
const DATABASE_OWNERS = ['src/store/**', 'lib/postgres/**', 'migrations/**', 'bench/database.ts'];

const LAYERS = {
  gen: [],
  migrations: [],
  lib: ['gen'],
  envd: ['gen', 'lib'],
  images: ['gen', 'lib'],
  native: ['lib'],
  agent: ['gen', 'lib', 'native'],
  src: ['gen', 'lib', 'migrations'],
  'clients/typescript': ['gen'],
  cli: ['gen', 'lib', 'images', 'clients/typescript'],
  // The pages show plain HTTP and share nothing with the servers.
  web: [],
  // A benchmark runs the platform as an operator does, by `wrenn`, and the addon by itself.
  bench: ['gen', 'lib', 'native', 'clients/typescript', 'cli'],
};

const layerZones = Object.entries(LAYERS).flatMap(([target, allowed]) =>
  [...Object.keys(LAYERS), 'test']
    .filter((from) => from !== target && !allowed.includes(from))
    .map((from) => ({
      target: sources(target),
      from: `./${from}`,
      message: `${target}/ may import ${['itself', ...allowed].join(', ')}, not ${from}/.`,
    })),
);

/** Folders inside a daemon, each with the siblings that it must not know. */
const AGENT_LEAVES = ['vmm', 'rootfs', 'snapshot', 'memory', 'network', 'guest', 'ledger'];
const innerZones = [
  ...AGENT_LEAVES.flatMap((leaf) => [
    forbid(`agent/${leaf}`, 'agent/sandbox', 'A leaf of the agent does not know sandboxes.'),
    forbid(`agent/${leaf}`, 'agent/api', 'A leaf of the agent does not know the API.'),
    ...AGENT_LEAVES.filter((other) => other !== leaf).map((other) =>
      forbid(
        `agent/${leaf}`,
        `agent/${other}`,
        'Leaves of the agent do not import each other; shared types live in lib/ or are structural.',
      ),
    ),
  ]),
  ...['sandbox', 'vmm', 'network', 'guest', 'ledger', 'api'].map((folder) =>
    forbid(
      `agent/${folder}`,
      'native',
      'The addon is reached through memory, snapshot and rootfs.',
    ),
  ),
  forbid('agent/sandbox', 'agent/api', 'The API translates for the sandbox layer, not back.'),
  forbid('agent/vmm/qemu', 'agent/vmm/fake', 'VMM drivers do not import each other.'),
  forbid('agent/vmm/fake', 'agent/vmm/qemu', 'VMM drivers do not import each other.'),
  ...['auth', 'scheduler', 'hosts', 'store'].flatMap((leaf) =>
    ['app', 'api', 'gateway', 'reconciler'].map((above) =>
      forbid(`src/${leaf}`, `src/${above}`, `src/${above} is above src/${leaf}.`),
    ),
  ),
  ...['api', 'gateway', 'reconciler'].map((above) =>
    forbid('src/app', `src/${above}`, `src/${above} is above src/app.`),
  ),
  ...[
    ['api', 'reconciler'],
    ['gateway', 'api'],
    ['gateway', 'reconciler'],
    ['reconciler', 'api'],
    ['reconciler', 'gateway'],
  ].map(([target, from]) =>
    forbid(`src/${target}`, `src/${from}`, 'They meet in src/app, or over gRPC.'),
  ),
];

/** The files of a folder that ship; tests may import what they test and test/support. */
function sources(folder) {
  return `./${folder}/**/!(*.test).ts`;
}

function forbid(target, from, message) {
  return { target: sources(target), from: `./${from}`, message };
}

const childProcessRule = {
  group: ['node:child_process', 'child_process'],
  message: 'Call run() of lib/process/run.ts; a leaf that owns a long-lived child is listed here.',
};
const environmentRule = {
  group: ['node:process', 'process'],
  importNames: ['env'],
  message: 'Only config.ts files read the environment.',
};
const databaseRule = {
  group: ['knex', 'pg'],
  allowTypeImports: true,
  message: 'SQL lives in src/store.',
};

function restrictImports(...patterns) {
  return { '@typescript-eslint/no-restricted-imports': ['error', { patterns }] };
}

export default tseslint.config(
  { ignores: ['dist/', 'node_modules/', 'gen/', 'third_party/', 'clients/*/gen/', '**/build/'] },
  {
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    plugins: { '@typescript-eslint': tseslint.plugin, 'import-x': importX },
  },
  {
    files: ['**/*.ts', '**/*.js', '**/*.mjs'],
    rules: {
      'max-lines': ['error', LINES_PER_FILE_MAX],
      'max-lines-per-function': [
        'error',
        { max: LINES_PER_FUNCTION_MAX, skipBlankLines: true, skipComments: true },
      ],
    },
  },
  {
    files: ['**/*.ts'],
    languageOptions: {
      parser: tseslint.parser,
      parserOptions: {
        project: ['test/tsconfig.json', 'web/tsconfig.json'],
        tsconfigRootDir: import.meta.dirname,
      },
    },
    settings: {
      'import-x/parsers': { '@typescript-eslint/parser': ['.ts'] },
      'import-x/extensions': ['.ts'],
      'import-x/resolver-next': [createTypeScriptImportResolver({ project: 'test/tsconfig.json' })],
    },
    rules: {
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-misused-promises': [
        'error',
        // A variable of a callback type is how grpc-js handlers get their types.
        { checksVoidReturn: { variables: false } },
      ],
      'import-x/no-restricted-paths': ['error', { zones: [...layerZones, ...innerZones] }],
      'import-x/no-cycle': ['error', { ignoreExternal: true }],
      'import-x/no-default-export': 'error',
      'no-restricted-globals': [
        'error',
        ...['AsyncDisposableStack', 'DisposableStack', 'SuppressedError'].map((name) => ({
          name,
          message: 'Node 20 does not have it; use Rollback of lib/lifecycle/rollback.ts.',
        })),
      ],
      'no-restricted-properties': [
        'error',
        { object: 'process', property: 'env', message: 'Only config.ts files read it.' },
      ],
      ...restrictImports(childProcessRule, environmentRule, databaseRule),
    },
  },
  {
    files: CHILD_PROCESS_OWNERS,
    rules: restrictImports(environmentRule, databaseRule),
  },
  {
    files: DATABASE_OWNERS,
    rules: restrictImports(childProcessRule, environmentRule),
  },
  {
    files: ['lib/postgres/**'],
    rules: restrictImports(environmentRule),
  },
  {
    files: CONFIG_FILES,
    rules: { 'no-restricted-properties': 'off' },
  },
  {
    files: TEST_FILES,
    rules: {
      'max-lines-per-function': 'off',
      'no-restricted-properties': 'off',
      '@typescript-eslint/no-restricted-imports': 'off',
    },
  },
);
