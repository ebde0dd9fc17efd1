/** How the programs of Postgres are started: never as root, and never longer than we live. */

const NOBODY = '65534';

/** A command with its arguments. */
export type Command = readonly [string, ...string[]];

/**
 * Postgres refuses to run as root. In a user namespace that maps nobody to
 * root it runs without a user being added to the host, and its files stay
 * root's.
 */
export function withoutRoot(command: Command): Command {
  if (process.getuid?.() !== 0) return command;
  return [
    'unshare',
    '--user',
    `--map-user=${NOBODY}`,
    `--map-group=${NOBODY}`,
    '--',
    ...command,
  ] as const;
}

/**
 * The kernel sends the signal when the parent dies. `unshare` changes
 * credentials, which clears that, so this belongs inside `withoutRoot`.
 */
export function dyingWithParent(command: Command, signal: 'INT'): Command {
  return ['setpriv', '--pdeathsig', signal, '--', ...command];
}
