import { ADDRESS_MAX_BYTES, decodeAddress, encodeAddress } from '../wire/address.ts';

/**
 * An IP address as four words of 32 bits, the most significant first; of IPv4 only `d` counts, the others are 0. They are
 * signed (`| 0`), because V8 keeps those in the object itself, and numbers of 2^31 and more outside of it.
 */
export interface IpAddress {
  readonly family: 4 | 6;
  readonly a: number;
  readonly b: number;
  readonly c: number;
  readonly d: number;
}

/** Bits of an address of each family. */
export const BITS = { 4: 32, 6: 128 } as const;

/** What `readAddress` writes to, used up before it returns. */
const scratch = new Uint8Array(ADDRESS_MAX_BYTES);
const view = new DataView(scratch.buffer);

/**
 * Reads an address as the system and the wire codec write it. An IPv4-mapped one (`::ffff:192.0.2.1`) becomes the IPv4
 * address that the kernel connects to; a zone (`%eth0`) is no part of the address and is left out.
 *
 * @returns undefined for all else: names, and the octal, decimal and short spellings of inet_aton.
 */
export function readAddress(text: string): IpAddress | undefined {
  try {
    if (!text.includes(':')) {
      encodeAddress(scratch, 0, { type: 'ipv4', host: text, port: 0 });
      return ipv4(view.getInt32(1));
    }
    const host = text.replace(ZONE, '');
    if (host.includes('%')) return undefined; // a second zone, which ipaddr.js would take for the first
    encodeAddress(scratch, 0, { type: 'ipv6', host: inGroups(host), port: 0 });
  } catch {
    return undefined;
  }
  const [a, b, c, d] = [view.getInt32(1), view.getInt32(5), view.getInt32(9), view.getInt32(13)];
  return a === 0 && b === 0 && c === 0xffff ? ipv4(d) : { family: 6, a, b, c, d };
}

const ZONE = /%[\da-zA-Z.:-]+$/;

/**
 * An IPv6 address that ends in a dotted quad, in groups alone. ipaddr.js would take `::192.0.2.1`, which inet_ntop writes, for
 * IPv4-mapped, and `::ffff:0177.0.0.1` for an address.
 *
 * @throws PodsocksError ERR_ADDRESS where the quad is none.
 */
function inGroups(host: string): string {
  if (!host.includes('.')) return host;
  const quad = host.lastIndexOf(':') + 1;
  encodeAddress(scratch, 0, { type: 'ipv4', host: host.slice(quad), port: 0 });
  return `${host.slice(0, quad)}${view.getUint16(1).toString(16)}:${view.getUint16(3).toString(16)}`;
}

/** A dotted quad, or RFC 5952. */
export function formatAddress({ family, a, b, c, d }: IpAddress): string {
  const wire = new DataView(new ArrayBuffer(19));
  wire.setUint8(0, family === 4 ? 1 : 4);
  (family === 4 ? [d] : [a, b, c, d]).forEach((word, i) => {
    wire.setInt32(1 + 4 * i, word);
  });
  return decodeAddress(new Uint8Array(wire.buffer), 0, 19)!.target.host;
}

const NAT64 = { a: 0x0064ff9b, b: 0, c: 0 };
const SIX_TO_FOUR = 0x2002;
const TRANSLATED = 0xffff0000 | 0;

/**
 * The IPv4 address to which a gateway on the way may carry what is sent to this IPv6 address:
 *
 *   64:ff9b::/96        NAT64 (RFC 6052): real in clusters without IPv4. Translators should drop private addresses, and
 *                       often do not.
 *   2002::/16           6to4 (RFC 3056, deprecated by RFC 7526), tunnelled by whoever has a `sit` interface.
 *   ::/96               IPv4-compatible (deprecated by RFC 4291 section 2.5.5.1), the same.
 *   ::ffff:0:0:0/96     IPv4-translated (RFC 2765), of stateless translators.
 *
 * Linux connects none of them to its own IPv4 addresses (tried: `::127.0.0.1` is EHOSTUNREACH without such an interface,
 * the others follow the IPv6 routes), as opposed to IPv4-mapped ones, which {@link readAddress} turns into IPv4.
 */
export function embeddedIpv4({ family, a, b, c, d }: IpAddress): IpAddress | undefined {
  if (family === 4) return undefined;
  if (a === NAT64.a && b === NAT64.b && c === NAT64.c) return ipv4(d);
  if (a >>> 16 === SIX_TO_FOUR) return ipv4((a << 16) | (b >>> 16));
  // `::` and `::1` are addresses of their own.
  if (a === 0 && b === 0 && c === 0 && (d < 0 || d > 1)) return ipv4(d);
  if (a === 0 && b === 0 && c === TRANSLATED) return ipv4(d);
  return undefined;
}

function ipv4(d: number): IpAddress {
  return { family: 4, a: 0, b: 0, c: 0, d };
}
