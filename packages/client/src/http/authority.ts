import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { Atyp, decodeAddress, type Target, targetOf } from '@podsocks/shared/wire/address';

/** What SOCKS has room for. */
const MAX_NAME_BYTES = 255;

/** `host[:port]`: no user information, no percent-encoding, brackets around IPv6 only. */
const AUTHORITY = /^(\[[0-9a-f:.]+\]|[^[\]:@%/\\?#]+)(?::(\d{0,5}))?$/i;

/**
 * The target that an authority names (RFC 3986 section 3.2, as RFC 9110 section 4.2 lets HTTP have it). Names are held to the rules
 * of SOCKS, so that what cannot be asked for there cannot be asked for here.
 *
 * @param text as Node's parser gives it, a character for each byte.
 * @param defaultPort the port where there is none; without it there has to be one.
 * @throws PodsocksError ERR_ADDRESS
 */
export function parseAuthority(text: string, defaultPort?: number): Target {
  const [, host = '', digits = ''] = AUTHORITY.exec(text) ?? [];
  if (host === '') throw wrong('the host and port are not in the form host:port, or [address]:port for IPv6');
  const port = digits === '' ? defaultPort : Number(digits);
  if (port === undefined) throw wrong('there is no port; give host:port');
  if (port < 1 || port > 0xffff) throw wrong('the port is not in 1..65535');
  const given = targetOf(host, port);
  if (given.type !== 'name') return given;
  if (host.startsWith('[')) throw wrong('what is in brackets is not an IPv6 address');
  return { ...given, host: nameIn(Buffer.from(host, 'latin1')) };
}

/** @throws PodsocksError ERR_ADDRESS */
function nameIn(bytes: Uint8Array): string {
  if (bytes.length > MAX_NAME_BYTES) throw wrong(`the name has more than ${MAX_NAME_BYTES} bytes`);
  const address = Uint8Array.of(Atyp.name, bytes.length, ...bytes, 0, 0);
  return decodeAddress(address, 0, address.length)!.target.host;
}

function wrong(message: string): PodsocksError {
  return new PodsocksError('ERR_ADDRESS', message);
}
