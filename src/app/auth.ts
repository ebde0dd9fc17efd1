/** Signing up and logging in. */

import { Code, hasReason, WrennError } from '../../lib/errors/index.js';
import { randomId } from '../../lib/ids/random-id.js';
import type { AccessTokens } from '../auth/jwt.js';
import type { LoginThrottle } from '../auth/login-throttle.js';
import type { PasswordHasher } from '../auth/password.js';
import type { Membership, UserStore } from '../store/user.js';
import type { Background } from './background.js';

export interface AuthParts {
  users: UserStore;
  hasher: PasswordHasher;
  tokens: AccessTokens;
  throttle: LoginThrottle;
  background: Background;
}

/** A user who is logged in. */
export interface Session extends Membership {
  accessToken: string;
  expiresAt: Date;
}

export interface NewAccount {
  email: string;
  password: string;
  name: string;
  /** Address of the client, for the limit on sign-ups. */
  clientAddress: string;
}

export interface Login {
  email: string;
  password: string;
  /** Address of the client, for the limit on attempts. */
  clientAddress: string;
}

export class AuthOperations {
  readonly #parts: AuthParts;

  constructor(parts: AuthParts) {
    this.#parts = parts;
  }

  /** Adds a user with a default team. @throws EMAIL_TAKEN, TOO_MANY_LOGINS */
  async signUp(account: NewAccount, signal: AbortSignal): Promise<Session> {
    const withdraw = this.#parts.throttle.beginSignUp(account.clientAddress);
    try {
      return this.#open(await this.#addUser(account, signal));
    } catch (error) {
      // Who asks for many addresses learns which of them have an account.
      if (!hasReason(error, 'EMAIL_TAKEN')) withdraw();
      throw error;
    }
  }

  async #addUser(
    { email, password, name: wish, clientAddress }: NewAccount,
    signal: AbortSignal,
  ): Promise<Membership> {
    const { users, hasher } = this.#parts;
    const emailKey = toEmailKey(email);
    await users.requireFree(emailKey);
    const passwordHash = await hasher.hash(password, { clientAddress, signal });
    const name = wish.trim() || email.slice(0, email.lastIndexOf('@'));
    const team = { id: randomId(), name };
    return users.create({ id: randomId(), email, emailKey, name, passwordHash, team });
  }

  /** @throws LOGIN_FAILED, TOO_MANY_LOGINS */
  async logIn({ email, password, clientAddress }: Login, signal: AbortSignal): Promise<Session> {
    const { users, hasher, throttle } = this.#parts;
    const emailKey = toEmailKey(email);
    const attempt = throttle.begin(emailKey, clientAddress);
    try {
      const found = await users.findByEmailKey(emailKey);
      const matches = await hasher.verify(found?.passwordHash, password, { clientAddress, signal });
      if (!found || !matches) throw loginFailed();
      attempt.succeed();
      this.#strengthen(found, password);
      return this.#open(found);
    } catch (error) {
      if (!hasReason(error, 'LOGIN_FAILED')) attempt.withdraw();
      throw error;
    }
  }

  #open({ user, team }: Membership): Session {
    const { token, expiresAt } = this.#parts.tokens.issue(user.id);
    return { user, team, accessToken: token, expiresAt };
  }

  /** Replaces a hash that was made with weaker parameters; only now is the password at hand. */
  #strengthen(
    { user, passwordHash }: Membership & { passwordHash: string },
    password: string,
  ): void {
    const { users, hasher, background } = this.#parts;
    if (!hasher.isOutdated(passwordHash)) return;
    background.detach(
      'password hash not renewed',
      hasher.hash(password).then((hash) => users.replacePasswordHash(user.id, passwordHash, hash)),
    );
  }
}

/** The form in which an address is unique. Addresses are ASCII, so case has one meaning. */
function toEmailKey(email: string): string {
  return email.toLowerCase();
}

/** The same for an unknown address and a wrong password. */
function loginFailed(): WrennError {
  return new WrennError(
    Code.UNAUTHENTICATED,
    'LOGIN_FAILED',
    'the e-mail address or the password is wrong',
  );
}
