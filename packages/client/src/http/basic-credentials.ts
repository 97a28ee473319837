import { authenticate, type SocksUser } from '../socks-users.ts';

/** What asks for a password (RFC 7617). */
export const BASIC_CHALLENGE = 'Basic realm="ss-local", charset="UTF-8"';

const BASIC = /^basic +([A-Za-z0-9+/]+={0,2}) *$/i;
const COLON = 0x3a;

/** The user whose name and password a field has, `Authorization` or `Proxy-Authorization`. */
export function userIn(users: readonly SocksUser[], field: string | undefined): string | undefined {
  const encoded = BASIC.exec(field ?? '')?.[1];
  if (encoded === undefined) return undefined;
  const bytes = Buffer.from(encoded, 'base64');
  const colon = bytes.indexOf(COLON);
  return colon < 0 ? undefined : authenticate(users, bytes.subarray(0, colon), bytes.subarray(colon + 1));
}
