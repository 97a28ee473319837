import { PodsocksError } from '@podsocks/shared/runtime/errors';
import type { FileLayer } from '@podsocks/shared/settings/config-file';
import { type Fields, records, secret, text } from '@podsocks/shared/settings/fields';
import { readSecretFile } from '@podsocks/shared/settings/secret-file';
import { type Layer, type Settings, single, type Warn } from '@podsocks/shared/settings/settings';
import { asText } from '@podsocks/shared/settings/values';
import type { SocksUser } from './socks-users.ts';

export const SOCKS_USER_SETTINGS = {
  socksUsername: single(
    { flags: '--socks-username <name>', env: 'SS_SOCKS_USERNAME' },
    'user name that SOCKS clients have to give',
    asText,
  ),
  socksPasswordFile: single({ flags: '--socks-password-file <file>' }, 'file that holds their password', asText),
  socksPassword: single({ env: 'SS_SOCKS_PASSWORD' }, 'password that SOCKS clients have to give', asText),
} satisfies Settings;

export const socksUserFields = {
  socks_users: records({ username: text(asText), password: secret }),
} satisfies Fields;

type Given = Layer<typeof SOCKS_USER_SETTINGS>;
type File = FileLayer<typeof socksUserFields>;

/** RFC 1929 has one byte for each length. */
const MAX_SOCKS_BYTES = 255;

/** Who may use the port; nobody listed: everybody. */
export function socksUsersOf(given: Given, file: File, warn: Warn): readonly SocksUser[] {
  const { socksUsername: username, socksPasswordFile, socksPassword } = given;
  const password = socksPasswordFile ? readSecretFile(socksPasswordFile, warn) : socksPassword;
  if (username && !password) {
    throw wrong(`${username.from}: there is no password for it; give --socks-password-file or SS_SOCKS_PASSWORD`);
  }
  if (password && !username) {
    throw wrong(`${password.from}: there is no user name for it; give --socks-username or SS_SOCKS_USERNAME`);
  }
  const users =
    username && password ? [{ username: username.value, password: password.value }] : file.socksUsers?.value;
  const from = username?.from ?? file.socksUsers?.from;
  const names = new Set<string>();
  for (const user of users ?? []) {
    for (const [what, value] of Object.entries(user)) {
      const bytes = Buffer.byteLength(value);
      if (bytes === 0 || bytes > MAX_SOCKS_BYTES) {
        throw wrong(`${from}: a SOCKS ${what} has 1 to ${MAX_SOCKS_BYTES} bytes, this one has ${bytes}; give another`);
      }
    }
    if (names.has(user.username)) throw wrong(`${from}: a user name is there twice; give each user its own`);
    names.add(user.username);
    // RFC 7617 section 2
    if (user.username.includes(':'))
      warn(`${from}: a user name has a colon, and so works by SOCKS only, not by HTTP; leave it out`);
  }
  return users ?? [];
}

function wrong(message: string): PodsocksError {
  return new PodsocksError('ERR_CONFIG', message);
}
