/** AuthService. */
import type { AuthServiceService, Session, Team, User } from '../../gen/ts/wrenn/v1/auth.js';
import { toTimestamp } from '../../lib/rpc/timestamp.js';
import type { Session as AppSession, AuthOperations } from '../app/auth.js';
import { userOf } from '../auth/principal.js';
import type { ClientAddressOf } from '../client-address.js';
import type { Membership, TeamRecord } from '../store/user.js';
import type { PublicHandlers } from './handlers.js';

export function authHandlers(
  auth: AuthOperations,
  clientAddressOf: ClientAddressOf,
): PublicHandlers<typeof AuthServiceService> {
  return {
    signUp: async (context, { email, password, name }) => {
      const account = { email, password, name, clientAddress: clientAddressOf(context) };
      return toSession(await auth.signUp(account, context.signal));
    },

    logIn: async (context, { email, password }) => {
      const login = { email, password, clientAddress: clientAddressOf(context) };
      return toSession(await auth.logIn(login, context.signal));
    },

    getMe: async (context) => toUser(userOf(context.principal)),
  };
}

function toSession(session: AppSession): Session {
  return {
    user: toUser(session),
    team: toTeam(session.team),
    accessToken: session.accessToken,
    expiresAt: toTimestamp(session.expiresAt.getTime()),
  };
}

function toUser({ user, team }: Membership): User {
  return {
    userId: user.id,
    email: user.email,
    name: user.name,
    createdAt: toTimestamp(user.createdAt.getTime()),
    defaultTeamId: team.id,
  };
}

function toTeam({ id, name }: TeamRecord): Team {
  return { teamId: id, name };
}
