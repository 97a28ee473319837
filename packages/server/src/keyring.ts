import { identityHash } from '@podsocks/shared/crypto/key-derivation';
import type { Method } from '@podsocks/shared/crypto/methods';
import type { Keyring, User } from '@podsocks/shared/crypto/stream';

/** Addresses whose last user is remembered; each takes some 100 bytes. */
const REMEMBERED_CLIENTS = 4096;

/** The name of the one whose key is the server's own `password`. */
export const DEFAULT_USER = 'default';

/** What says who there is. */
export interface KnownUsers {
  readonly method: Method;
  readonly key?: Uint8Array | undefined;
  readonly users: readonly { readonly name: string; readonly groups?: readonly string[] }[];
  readonly usersPath?: string | undefined;
}

/** Those whom rules can name: the listed ones, and where it lets somebody in the one whose password is the server's. */
export function knownUsers({ method, key, users, usersPath }: KnownUsers): KnownUsers['users'] {
  const hasList = users.length > 0 || usersPath !== undefined;
  const isUser = !hasList || (method.generation === 'sip004' && key !== undefined);
  return isUser ? [...users, { name: DEFAULT_USER }] : users;
}

/** Whose users may be replaced by others, at once. It remembers nothing of those who are gone. */
export interface ReplaceableKeyring extends Keyring {
  replace(users: readonly User[]): void;
}

/**
 * Who may connect.
 *
 * @param key the server's own key: with users under SIP022 the iPSK, which alone lets nobody in; otherwise a user's.
 * @param hasList whether there may be users although there are none now.
 */
export function keyringOf(
  method: Method,
  key: Uint8Array | undefined,
  users: readonly User[],
  hasList = users.length > 0,
): ReplaceableKeyring {
  if (method.generation === 'sip022' && hasList) return identityKeyring(key!, users);
  const own = key === undefined ? [] : [{ name: DEFAULT_USER, key }];
  const keyring = trialKeyring([...own, ...users]);
  return { ...keyring, replace: others => keyring.replace([...own, ...others]) };
}

/** SIP023: one look-up, however many users there are. */
function identityKeyring(identityKey: Uint8Array, users: readonly User[]): ReplaceableKeyring {
  /** Of those who stay it need not be computed again: 10,000 would take 0.1 s. */
  const identities = new WeakMap<User, string>();
  const identityOf = (user: User) => {
    const identity = identities.get(user) ?? latin1(identityHash(user.key));
    identities.set(user, identity);
    return identity;
  };
  const index = (of: readonly User[]) => new Map(of.map(user => [identityOf(user), user]));
  let byIdentity = index(users);
  return {
    identityKey,
    byIdentity: identity => byIdentity.get(latin1(identity)),
    candidates: () => byIdentity.values(),
    matched() {},
    replace(others) {
      byIdentity = index(others);
    },
  };
}

/** SIP004: every key in turn, beginning with the one that this address used last. */
function trialKeyring(first: readonly User[]): ReplaceableKeyring {
  const lastUser = new Map<string, User>();
  let users = first;
  return {
    replace(others) {
      users = others;
      const still = new Set(others);
      for (const [client, user] of lastUser) if (!still.has(user)) lastUser.delete(client);
    },
    identityKey: undefined,
    byIdentity: () => undefined,
    *candidates(clientAddress) {
      const last = lastUser.get(clientAddress);
      if (last !== undefined) yield last;
      for (const user of users) if (user !== last) yield user;
    },
    matched(clientAddress, user) {
      if (users.length === 1) return;
      lastUser.delete(clientAddress); // so that it becomes the youngest
      lastUser.set(clientAddress, user);
      if (lastUser.size > REMEMBERED_CLIENTS) lastUser.delete(lastUser.keys().next().value!);
    },
  };
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1');
}
