import { createHash, timingSafeEqual } from 'node:crypto';

/** Who may use the port. Once there is one, nobody gets in without a password. */
export interface SocksUser {
  readonly username: string;
  readonly password: string;
}

/**
 * The user with this name and password. Every user is compared, and both parts of each, so that the time it takes says
 * neither who exists nor which part was wrong. Digests make the lengths equal, as timingSafeEqual needs them.
 */
export function authenticate(
  users: readonly SocksUser[],
  username: Uint8Array,
  password: Uint8Array,
): string | undefined {
  const usernameDigest = sha256(username);
  const passwordDigest = sha256(password);
  let found: string | undefined;
  for (const user of users) {
    const isName = timingSafeEqual(sha256(user.username), usernameDigest);
    const isPassword = timingSafeEqual(sha256(user.password), passwordDigest);
    if (isName && isPassword) found = user.username;
  }
  return found;
}

function sha256(data: string | Uint8Array): Uint8Array {
  return createHash('sha256').update(data).digest();
}
