import { targetOf } from '../wire/address.ts';
import type { Address } from './address.ts';

/** A name as DNS takes it (RFC 1035 section 2.3.4), in lower case and without a trailing dot. */
export interface DnsName {
  readonly text: string;
  /** Whether a trailing dot said that no domain of the search list belongs behind it. */
  readonly absolute: boolean;
}

/** 255 bytes on the wire, less the first label's length and the root's. */
const MAX_NAME = 253;

/**
 * Letters, digits and hyphens (RFC 952, RFC 1123), and the underscore, which SRV names begin with and some services have.
 * What is not ASCII has to come as punycode (`xn--`), which is what browsers send. Converting it here would be a risk and
 * no gain: IDNA's mapping makes digits and dots of other characters, so that `１２７．１` would be an address.
 */
const NAME = /^(?:[a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}$/;

/** @returns undefined for what cannot be a name: empty or long labels, other characters. */
export function parseName(text: string): DnsName | undefined {
  if (!/^[\x21-\x7e]+$/.test(text)) return undefined; // lower case would make letters of others: K of the Kelvin sign
  const absolute = text.endsWith('.');
  const bare = (absolute ? text.slice(0, -1) : text).toLowerCase();
  return bare.length <= MAX_NAME && NAME.test(bare) ? { text: bare, absolute } : undefined;
}

/** `name.domain`, or undefined where that is too long. The root as a domain is empty. */
export function within(name: string, domain: string): string | undefined {
  if (domain === '') return name;
  return name.length + 1 + domain.length <= MAX_NAME ? `${name}.${domain}` : undefined;
}

/**
 * The address that a text spells: a dotted quad, or IPv6 with or without brackets. All other spellings that getaddrinfo
 * reads as addresses (`0`, `127.1`, `0x7f000001`, `017700000001`) are none here, lest one of them slips past a policy.
 */
export function addressIn(text: string): Address | undefined {
  const { type, host } = targetOf(text, 0);
  return type === 'name' ? undefined : { address: host, family: type === 'ipv6' ? 6 : 4 };
}

/**
 * `localhost` and all below it are loopback, whatever DNS says (RFC 6761 section 6.3).
 *
 * @param listed what /etc/hosts says of it, of which nothing else counts either; without, both families are.
 * @returns undefined for all other names.
 */
export function localhost({ text }: DnsName, listed: readonly Address[] = []): readonly Address[] | undefined {
  if (text !== 'localhost' && !text.endsWith('.localhost')) return undefined;
  const loopback = listed.filter(({ address }) => address === '::1' || address.startsWith('127.'));
  return loopback.length > 0 ? loopback : LOOPBACK;
}

const LOOPBACK: readonly Address[] = [
  { address: '127.0.0.1', family: 4 },
  { address: '::1', family: 6 },
];
