/** `wrenn auth`: users. The access token is stored for the `key` commands. */
import type { Command } from 'commander';
import type { Session as UserSession } from '../../clients/typescript/index.js';
import { User } from '../../gen/ts/wrenn/v1/auth.js';
import type { CommandContext } from '../command-context.js';
import { printLine } from '../io.js';
import { messageToJson } from '../output/message-json.js';
import { readPassword } from '../password.js';
import { type Session, withClient } from '../session.js';

interface AuthOptions {
  email: string;
  name?: string;
  passwordStdin?: boolean;
}

export function addAuthCommands(program: Command, context: CommandContext): void {
  const auth = program.command('auth').description('sign up and log in');
  const withCredentials = (command: Command) =>
    command
      .requiredOption('--email <address>', 'e-mail address')
      .option('--password-stdin', 'read the password from standard input');

  withCredentials(auth.command('signup'))
    .description('make a user with a team, and log in')
    .option('--name <name>', 'name shown to other people')
    .action((options: AuthOptions) => signUp(context, options));
  withCredentials(auth.command('login'))
    .description('log in')
    .action((options: AuthOptions) => logIn(context, options));
}

async function signUp({ io, session: open }: CommandContext, options: AuthOptions): Promise<void> {
  const session = open();
  const password = await readPassword(io, options.passwordStdin ?? false);
  const { email, name = '' } = options;
  const user = await withClient(session, (client) => client.auth.signUp({ email, password, name }));
  await store(session, user);
  print(session, user, 'signed up');
}

async function logIn({ io, session: open }: CommandContext, options: AuthOptions): Promise<void> {
  const session = open();
  const password = await readPassword(io, options.passwordStdin ?? false);
  const { email } = options;
  const user = await withClient(session, (client) => client.auth.logIn({ email, password }));
  await store(session, user);
  print(session, user, 'logged in');
}

async function store(session: Session, { user, accessToken }: UserSession): Promise<void> {
  const email = user?.email ?? '';
  const before = await session.store.read(session.address);
  // Another user's key would go on acting for another team.
  const forgetKey = before.email !== email ? { apiKey: undefined, apiKeyId: undefined } : {};
  await session.store.update(session.address, { email, accessToken, ...forgetKey });
}

function print({ io, json }: Session, { user }: UserSession, what: string): void {
  const shown = User.fromPartial(user ?? {});
  if (json) {
    // The token stays in the store: output ends up in logs.
    printLine(io.stdout, JSON.stringify({ user: messageToJson('wrenn.v1.User', User, shown) }));
  } else {
    printLine(io.stdout, `${what} as ${shown.email}`);
    printLine(io.stdout, 'next: wrenn key create');
  }
}
