import { serverKey } from '@podsocks/shared/crypto/key-derivation';
import type { Method } from '@podsocks/shared/crypto/methods';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { located, type Warn } from '@podsocks/shared/settings/settings';
import { DEFAULT_USER } from '../keyring.ts';
import type { ServerUser } from './user.ts';
import { type ListedUser, readUsers } from './users-files.ts';

export interface UserSource {
  /** File or directory. */
  readonly path: string;
  readonly method: Method;
  /** The server's own, which no user may have; under SIP004 it is that of one more user. */
  readonly key?: Uint8Array | undefined;
}

/**
 * All users of a file or directory.
 *
 * @throws PodsocksError ERR_CONFIG with file and field, and never a key.
 */
export function loadUsers(source: UserSource, warn: Warn): readonly ServerUser[] {
  return keyedUsers(readUsers(source.path, warn), source);
}

/**
 * Users with their keys, no two of which are the same: the key is what tells who somebody is.
 *
 * @throws PodsocksError ERR_CONFIG.
 */
export function keyedUsers(listed: readonly ListedUser[], { method, key }: Omit<UserSource, 'path'>): ServerUser[] {
  const names = new Set(key !== undefined && method.generation === 'sip004' ? [DEFAULT_USER] : []);
  const owners = new Map(key === undefined ? [] : [[hex(key), 'the server']]);
  return listed.map(({ name, password, from, ...terms }) => {
    if (names.has(name)) throw wrong(`${from}: the name ${JSON.stringify(name)} is taken; give each user its own`);
    names.add(name);
    const own = located(password.from, () => serverKey(method, password.value));
    const twin = owners.get(hex(own));
    if (twin) {
      const mend = 'give each user a key of its own: ss-server genkey';
      throw wrong(`${password.from}: is the same as that of ${twin}; ${mend}`);
    }
    owners.set(hex(own), JSON.stringify(name));
    return { name, key: own, ...terms };
  });
}

function hex(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.length).toString('hex');
}

function wrong(message: string): PodsocksError {
  return new PodsocksError('ERR_CONFIG', message);
}
