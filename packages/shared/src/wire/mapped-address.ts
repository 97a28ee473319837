import ipaddr from 'ipaddr.js';

/** The IPv4 address that an IPv4-mapped IPv6 address (`::ffff:192.0.2.1`, RFC 4291 section 2.5.5.2) means, if it is one. */
export function ipv4OfMapped(address: string): string | undefined {
  if (!address.startsWith('::ffff:') || !ipaddr.IPv6.isValid(address)) return undefined;
  const parsed = ipaddr.IPv6.parse(address);
  return parsed.isIPv4MappedAddress() ? parsed.toIPv4Address().toString() : undefined;
}
