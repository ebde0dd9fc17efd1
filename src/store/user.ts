/** Users with their default teams. */
import { Code, WrennError } from '../../lib/errors/index.js';
import type { Database, Queryable } from './database.js';
import { breaksUnique } from './errors.js';

export interface UserRecord {
  id: string;
  email: string;
  name: string;
  createdAt: Date;
}

export interface TeamRecord {
  id: string;
  name: string;
}

/** A user and the team that owns the user's keys and sandboxes. */
export interface Membership {
  user: UserRecord;
  team: TeamRecord;
}

export interface NewUser {
  id: string;
  email: string;
  /** The address in the form in which it is unique. */
  emailKey: string;
  name: string;
  passwordHash: string;
  team: TeamRecord;
}

interface MembershipRow {
  id: string;
  email: string;
  name: string;
  created_at: Date;
  password_hash: string;
  team_id: string;
  team_name: string;
}

export class UserStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Adds user, team and membership at once. @throws EMAIL_TAKEN */
  async create({ id, email, emailKey, name, passwordHash, team }: NewUser): Promise<Membership> {
    const row = { id, email, email_key: emailKey, name, password_hash: passwordHash };
    try {
      return await this.#database.transaction(async (transaction) => {
        const [user] = await transaction('users').insert(row).returning(['created_at']);
        await transaction('teams').insert({ id: team.id, name: team.name });
        await transaction('users_teams').insert({
          user_id: id,
          team_id: team.id,
          role: 'owner',
          is_default: true,
        });
        return { user: { id, email, name, createdAt: user.created_at }, team };
      });
    } catch (error) {
      throw breaksUnique(error, 'users_email_key_unique') ? emailTaken(error) : error;
    }
  }

  /** Answers early for an address that is taken; `create` has the last word. @throws EMAIL_TAKEN */
  async requireFree(emailKey: string): Promise<void> {
    const taken = await this.#database.query((knex) =>
      knex('users').where({ email_key: emailKey }).first('id'),
    );
    if (taken) throw emailTaken();
  }

  /** Finds a user for a login, with the stored hash. */
  async findByEmailKey(
    emailKey: string,
  ): Promise<(Membership & { passwordHash: string }) | undefined> {
    const row = await this.#database.query((knex) =>
      memberships(knex).where('users.email_key', emailKey).first<MembershipRow | undefined>(),
    );
    return row && { ...toMembership(row), passwordHash: row.password_hash };
  }

  async find(userId: string): Promise<Membership | undefined> {
    const row = await this.#database.query((knex) =>
      memberships(knex).where('users.id', userId).first<MembershipRow | undefined>(),
    );
    return row && toMembership(row);
  }

  /** Replaces a hash, unless it has been replaced meanwhile. */
  async replacePasswordHash(userId: string, oldHash: string, newHash: string): Promise<void> {
    await this.#database.query((knex) =>
      knex('users')
        .where({ id: userId, password_hash: oldHash })
        .update({ password_hash: newHash }),
    );
  }
}

function memberships(knex: Queryable) {
  return knex('users')
    .join('users_teams', 'users_teams.user_id', 'users.id')
    .join('teams', 'teams.id', 'users_teams.team_id')
    .where('users_teams.is_default', true)
    .select('users.*', 'teams.id as team_id', 'teams.name as team_name');
}

function toMembership(row: MembershipRow): Membership {
  return {
    user: { id: row.id, email: row.email, name: row.name, createdAt: row.created_at },
    team: { id: row.team_id, name: row.team_name },
  };
}

function emailTaken(cause?: unknown): WrennError {
  return new WrennError(
    Code.ALREADY_EXISTS,
    'EMAIL_TAKEN',
    'another user has this e-mail address',
    { cause },
  );
}
