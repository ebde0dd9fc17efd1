import {
  AuthServiceService as Service,
  type Session,
  SignUpRequest,
  type User,
} from '../../gen/ts/wrenn/v1/auth.js';
import type { CallOptions, Connection } from './connection.js';

/** Users. The session that a signup or login returns holds an access token. */
export class Auth {
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Makes a user with a default team and logs the user in. */
  signUp(
    user: { email: string; password: string; name?: string },
    options?: CallOptions,
  ): Promise<Session> {
    return this.#connection.call(Service.signUp, SignUpRequest.fromPartial(user), options);
  }

  /** Exchanges e-mail address and password for an access token. */
  logIn(user: { email: string; password: string }, options?: CallOptions): Promise<Session> {
    return this.#connection.call(Service.logIn, user, options);
  }

  /** The user whose access token the client has. */
  me(options?: CallOptions): Promise<User> {
    return this.#connection.call(Service.getMe, {}, options);
  }
}
