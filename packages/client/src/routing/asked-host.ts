import { parseName } from '@podsocks/shared/dns/dns-name';
import { type IpAddress, readAddress } from '@podsocks/shared/matching/ip-address';
import { readName } from '@podsocks/shared/matching/name-pattern';

/** What a program asks for: an address, a name of DNS, or, without either, something that no rule can mean. */
export interface AskedHost {
  readonly address?: IpAddress;
  /** In lower case, without the trailing dot. */
  readonly name?: string;
  /** A name to which nothing is to be added: it had a trailing dot. */
  readonly absolute: boolean;
}

/** Addresses end in a digit or have a colon; to try all names as addresses would be slow. */
const MAY_BE_ADDRESS = /:|\d$/;

/** @param host of a target of any type: programs send addresses as names, too, and IPv6 with brackets. */
export function readHost(host: string): AskedHost {
  const bare = host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host;
  const address = MAY_BE_ADDRESS.test(bare) ? readAddress(bare) : undefined;
  if (address !== undefined) return { address, absolute: true };
  const name = readName(host);
  return name === undefined ? UNREADABLE : { name, absolute: parseName(host)!.absolute };
}

const UNREADABLE: AskedHost = { absolute: true };

/** `localhost` and all below it are this machine (RFC 6761 section 6.3). */
export function isLocalhost(name: string): boolean {
  return name === 'localhost' || name.endsWith('.localhost');
}

/**
 * The address of which a name of a reverse zone tells the names: `10.0.96.10.in-addr.arpa` (RFC 1035 section 3.5) and
 * `….ip6.arpa` (RFC 3596 section 2.5).
 */
export function addressOfReverseName(name: string): IpAddress | undefined {
  if (!name.endsWith('.arpa')) return undefined;
  const [, d, c, b, a] = /^(\d+)\.(\d+)\.(\d+)\.(\d+)\.in-addr\.arpa$/.exec(name) ?? [];
  if (a !== undefined) return readAddress(`${a}.${b}.${c}.${d}`);
  const [, nibbles] = /^((?:[\da-f]\.){32})ip6\.arpa$/.exec(name) ?? [];
  if (nibbles === undefined) return undefined;
  const digits = nibbles.replaceAll('.', '').split('').reverse().join('');
  return readAddress(digits.match(/.{4}/g)!.join(':'));
}
