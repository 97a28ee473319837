import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { formatTarget, targetOf } from '@podsocks/shared/wire/address';

/** A proxy on the way to the servers. */
export interface Upstream {
  readonly kind: 'socks5' | 'http';
  readonly host: string;
  readonly port: number;
  readonly user?: { readonly name: string; readonly password: string };
}

const KINDS: Readonly<Record<string, Upstream['kind']>> = {
  // Names are always resolved by the proxy: those of servers are often known in its network only.
  'socks5:': 'socks5',
  'socks5h:': 'socks5',
  'http:': 'http',
};

const SPELLING = 'socks5://[user:password@]host:port or http://[user:password@]host:port';

/** RFC 1929 has one byte for each length. */
const MAX_SOCKS_BYTES = 255;

/** @throws PodsocksError ERR_CONFIG that quotes nothing: there may be a password in it. */
export function parseUpstream(text: string): Upstream {
  if (!URL.canParse(text)) throw wrong(`is not the URL of a proxy; give ${SPELLING}`);
  const url = new URL(text);
  const kind = KINDS[url.protocol];
  if (kind === undefined) throw wrong(`has a scheme that is not known; give ${SPELLING}`);
  if (url.hostname === '') throw wrong(`has no host; give ${SPELLING}`);
  if (!['', '/'].includes(url.pathname) || url.search !== '' || url.hash !== '') {
    throw wrong(`has something behind the port; give ${SPELLING}`);
  }
  // The URL class forgets a port that is the scheme's own: 80, of http.
  const port = Number(url.port || (/:80\/?$/.test(text) ? 80 : 0));
  if (port === 0) throw wrong(`has no port, and proxies have none that is usual; give ${SPELLING}`);
  const { host } = targetOf(url.hostname.replace(/^\[|\]$/g, ''), port);
  const name = decoded(url.username);
  const password = decoded(url.password);
  if (name === '' && password === '') return { kind, host, port };
  if (name === '') throw wrong('has a password and no user; give user:password');
  const longest = Math.max(Buffer.byteLength(name), Buffer.byteLength(password));
  if (kind === 'socks5' && (longest > MAX_SOCKS_BYTES || password === '')) {
    throw wrong(`has a user or password that SOCKS5 has no place for; each has 1 to ${MAX_SOCKS_BYTES} bytes`);
  }
  if (kind === 'http' && name.includes(':')) throw wrong('has a user with a colon, which HTTP has no way to say');
  return { kind, host, port, user: { name, password } };
}

/** `http://10.0.0.1:3128`: never with the password. */
export function formatUpstream({ kind, host, port, user }: Upstream): string {
  return `${kind}://${user === undefined ? '' : `${encodeURIComponent(user.name)}:…@`}${formatTarget({ host, port })}`;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw wrong('has a user or password with a % that begins nothing; write %25 for a percent sign');
  }
}

function wrong(message: string): PodsocksError {
  return new PodsocksError('ERR_CONFIG', message);
}
