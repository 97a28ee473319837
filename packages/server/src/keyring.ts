import { identityHash } from '@podsocks/shared/crypto/key-derivation';
import type { Method } from '@podsocks/shared/crypto/methods';
import type { Keyring, User } from '@podsocks/shared/crypto/stream';

/** Addresses whose last user is remembered; each takes some 100 bytes. */
const REMEMBERED_CLIENTS = 4096;

/** The name of the one whose key is the server's own `password`. */
export const DEFAULT_USER = 'default';

/** Those whom rules can name: the listed ones, or the one whose password is the server's. */
export function knownUsers<U extends { readonly name: string }>(
  listed: readonly U[],
): readonly (U | { name: string })[] {
  return listed.length > 0 ? listed : [{ name: DEFAULT_USER }];
}

/**
 * Who may connect.
 *
 * @param key the server's own key: with users under SIP022 the iPSK, which alone lets nobody in; otherwise a user's.
 */
export function keyringOf(method: Method, key: Uint8Array | undefined, users: readonly User[]): Keyring {
  if (method.generation === 'sip022' && users.length > 0) return identityKeyring(key!, users);
  return trialKeyring(key === undefined ? users : [{ name: DEFAULT_USER, key }, ...users]);
}

/** SIP023: one look-up, however many users there are. */
function identityKeyring(identityKey: Uint8Array, users: readonly User[]): Keyring {
  const byIdentity = new Map(users.map(user => [latin1(identityHash(user.key)), user]));
  return {
    identityKey,
    byIdentity: identity => byIdentity.get(latin1(identity)),
    candidates: () => users,
    matched() {},
  };
}

/** SIP004: every key in turn, beginning with the one that this address used last. */
function trialKeyring(users: readonly User[]): Keyring {
  const lastUser = new Map<string, User>();
  return {
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
