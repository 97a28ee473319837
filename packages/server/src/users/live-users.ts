import type { Method } from '@podsocks/shared/crypto/methods';
import type { Keyring, User } from '@podsocks/shared/crypto/stream';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import type { Logger } from '@podsocks/shared/runtime/log';
import { keyringOf, type ReplaceableKeyring } from '../keyring.ts';
import type { Sessions } from '../sessions/sessions.ts';
import { BandwidthLimit } from './bandwidth-limit.ts';
import { formatExpires } from './terms.ts';
import { hasExpired, type ServerUser } from './user.ts';
import { changeOf, hasSameKey, type UsersChange } from './users-change.ts';

export interface LiveUsersOptions {
  readonly method: Method;
  /** As {@link keyringOf} has it. */
  readonly key?: Uint8Array | undefined;
  readonly users: readonly ServerUser[];
  /** Where users come and go; undefined where they stay the same. */
  readonly usersPath?: string | undefined;
  readonly sessions: Sessions;
  readonly log: Logger;
}

/** A user, and the object that stands for them in all that is open. */
interface Entry {
  readonly user: User;
  readonly terms: ServerUser;
}

/** A user who is back within this is the same for the replay windows of their UDP sessions (SESSION_MEMORY_MS). */
const REMEMBERED_MS = 120_000;

const LOOK_MS = 1000;

/** Who may connect just now, and on which terms. */
export class LiveUsers {
  /** Of those that there are; whoever has it need not be told of changes. */
  readonly keyring: Keyring;
  readonly #keyring: ReplaceableKeyring;
  readonly #options: LiveUsersOptions;
  readonly #bandwidth = new Map<string, BandwidthLimit>();
  /** Those who went, by name and key, and when. */
  readonly #gone = new Map<string, { readonly user: User; readonly at: number }>();
  #entries: ReadonlyMap<string, Entry> = new Map();
  /** Who expires at some time. */
  #expiring: readonly ServerUser[] = [];
  readonly #timer: NodeJS.Timeout;

  constructor(options: LiveUsersOptions) {
    const { method, key, users, usersPath } = options;
    this.#options = options;
    this.#keyring = keyringOf(method, key, users, users.length > 0 || usersPath !== undefined);
    this.keyring = this.#keyring;
    this.#entries = new Map(users.map(terms => [terms.name, { user: terms, terms }]));
    this.#setTerms(users);
    this.#timer = setInterval(() => this.#stopExpired(), LOOK_MS).unref();
  }

  /** How many there are, without the one whose key is the server's. */
  get size(): number {
    return this.#entries.size;
  }

  /**
   * Puts others in their place, at once. Who is gone, or has another key, loses what they have open; nobody else notices.
   * New terms hold for what is open, too: bandwidth at once, connections when the next one begins.
   */
  replace(users: readonly ServerUser[]): UsersChange {
    const before = this.#entries;
    const entries = new Map<string, Entry>();
    for (const terms of users) {
      const known = before.get(terms.name)?.user;
      const user = known !== undefined && hasSameKey(known, terms) ? known : this.#returning(terms);
      entries.set(terms.name, { user, terms });
    }
    this.#keyring.replace(Array.from(entries.values(), ({ user }) => user));
    this.#entries = entries;
    const change = changeOf(
      Array.from(before.values(), ({ terms }) => terms),
      users,
    );
    for (const name of change.revoked) this.#revoke(before.get(name)!.user);
    this.#setTerms(users); // afterwards: of a user with another key, what the old one had is gone
    this.#stopExpired();
    return change;
  }

  /**
   * Why somebody whose key was good a moment ago may not begin anything. Their client is to see no difference to a key that
   * never was good.
   */
  objection(user: User): PodsocksError | undefined {
    const { name } = user;
    const entry = this.#entries.get(name);
    if (entry === undefined && this.#isServers(user)) return undefined;
    if (entry?.user !== user) {
      return new PodsocksError('ERR_DENIED', `user "${name}" was removed a moment ago, or has another key now`);
    }
    const { expires } = entry.terms;
    if (expires === undefined || !hasExpired(entry.terms, Date.now())) return undefined;
    return new PodsocksError('ERR_DENIED', `user "${name}" has expired (${formatExpires(expires)})`);
  }

  /** Why they may not begin anything more just now. */
  excess({ name }: User): PodsocksError | undefined {
    const most = this.#entries.get(name)?.terms.maxConnections;
    if (most === undefined || this.#options.sessions.of(name).size < most) return undefined;
    return new PodsocksError('ERR_LIMIT', `user "${name}" has ${most} connections and associations, and no more`);
  }

  /** What holds them back; undefined for those who have no limit, and cannot get one. */
  bandwidthOf({ name }: User): BandwidthLimit | undefined {
    const known = this.#bandwidth.get(name);
    if (known !== undefined || this.#options.usersPath === undefined || !this.#entries.has(name)) return known;
    const limit = new BandwidthLimit(undefined);
    this.#bandwidth.set(name, limit);
    return limit;
  }

  close(): void {
    clearInterval(this.#timer);
    for (const limit of this.#bandwidth.values()) limit.close();
  }

  /** The one whose key is the server's is not in the list. */
  #isServers(user: User): boolean {
    const { key } = this.#options;
    return key !== undefined && hasSameKey(user, { key });
  }

  /** The object for somebody who was not there, or not with this key. */
  #returning({ name, key }: ServerUser): User {
    const now = performance.now();
    for (const [id, { at }] of this.#gone) {
      if (at + REMEMBERED_MS > now) break;
      this.#gone.delete(id);
    }
    return this.#gone.get(identityOf({ name, key }))?.user ?? { name, key };
  }

  #revoke(user: User): void {
    const { sessions } = this.#options;
    this.#bandwidth.get(user.name)?.close();
    this.#bandwidth.delete(user.name);
    const id = identityOf(user);
    this.#gone.delete(id);
    this.#gone.set(id, { user, at: performance.now() });
    sessions.stopUser(user.name, 'revoked');
  }

  #setTerms(users: readonly ServerUser[]): void {
    this.#expiring = users.filter(({ expires }) => expires !== undefined);
    for (const { name, bandwidth } of users) {
      const known = this.#bandwidth.get(name);
      if (known !== undefined) known.set(bandwidth);
      else if (bandwidth !== undefined) this.#bandwidth.set(name, new BandwidthLimit(bandwidth));
    }
  }

  #stopExpired(): void {
    const { sessions, log } = this.#options;
    const now = Date.now();
    for (const user of this.#expiring) {
      const open = sessions.of(user.name).size;
      if (open === 0 || !hasExpired(user, now)) continue;
      log.info({ user: user.name, sessions: open }, `user "${user.name}" has expired: what they had open is ended`);
      sessions.stopUser(user.name, 'revoked');
    }
  }
}

function identityOf({ name, key }: User): string {
  return JSON.stringify([name, Buffer.from(key).toString('hex')]);
}
