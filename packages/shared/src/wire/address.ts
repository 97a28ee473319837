import ipaddr from 'ipaddr.js';
import { PodsocksError } from '../runtime/errors.ts';

/** Where a connection shall go. `host` is a dotted quad, an RFC 5952 IPv6 address, or a name as the client spelt it. */
export interface Target {
  readonly type: 'ipv4' | 'ipv6' | 'name';
  readonly host: string;
  /** 0..65535; 0 is legal on the wire (SOCKS5 UDP ASSOCIATE) and refused by whoever dials. */
  readonly port: number;
}

/** ATYP of RFC 1928 section 5. */
export const Atyp = { ipv4: 0x01, name: 0x03, ipv6: 0x04 } as const;

/** The longest ADDR: 1 + 1 + 255 + 2. */
export const ADDRESS_MAX_BYTES = 1 + 1 + 255 + 2;

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const utf8Encoder = new TextEncoder();

/*
 * ADDR (RFC 1928 section 5, the same in SOCKS5 and Shadowsocks):
 *
 *   +------+----------------------------+----------+
 *   | ATYP | host                       | port u16 |
 *   +------+----------------------------+----------+
 *     0x01   4 bytes
 *     0x03   length u8 | 1..255 bytes
 *     0x04   16 bytes
 */

/**
 * Reads ADDR from `input[at..end)`.
 *
 * @returns the target and the bytes that ADDR took, or undefined while more bytes are needed.
 * @throws PodsocksError ERR_ADDRESS for an unknown ATYP or a name that cannot be one.
 */
export function decodeAddress(
  input: Uint8Array,
  at: number,
  end: number,
): { target: Target; length: number } | undefined {
  if (at >= end) return undefined;
  const atyp = input[at]!;
  switch (atyp) {
    case Atyp.ipv4: {
      const length = 1 + 4 + 2;
      if (end - at < length) return undefined;
      const host = `${input[at + 1]}.${input[at + 2]}.${input[at + 3]}.${input[at + 4]}`;
      return { target: { type: 'ipv4', host, port: readPort(input, at + 5) }, length };
    }
    case Atyp.ipv6: {
      const length = 1 + 16 + 2;
      if (end - at < length) return undefined;
      const host = new ipaddr.IPv6([...input.subarray(at + 1, at + 17)]).toRFC5952String();
      return { target: { type: 'ipv6', host, port: readPort(input, at + 17) }, length };
    }
    case Atyp.name: {
      if (end - at < 2) return undefined;
      const nameLength = input[at + 1]!;
      if (nameLength === 0) throw new PodsocksError('ERR_ADDRESS', 'the name in the address is empty');
      const length = 1 + 1 + nameLength + 2;
      if (end - at < length) return undefined;
      const host = decodeName(input.subarray(at + 2, at + 2 + nameLength));
      return { target: { type: 'name', host, port: readPort(input, at + 2 + nameLength) }, length };
    }
    default:
      throw new PodsocksError('ERR_ADDRESS', `unknown address type 0x${atyp.toString(16).padStart(2, '0')}`);
  }
}

/**
 * Writes ADDR at `out[at..]`.
 *
 * @returns the bytes written, at most {@link ADDRESS_MAX_BYTES}.
 * @throws PodsocksError ERR_ADDRESS when the host does not fit its type; RangeError when `out` is too small.
 */
export function encodeAddress(out: Uint8Array, at: number, target: Target): number {
  const { type, host, port } = target;
  const bytes = hostBytes(target);
  if (!Number.isInteger(port) || port < 0 || port > 0xffff) {
    throw new PodsocksError('ERR_ADDRESS', `port ${port} is not in 0..65535`);
  }
  let cursor = at;
  out[cursor++] = Atyp[type];
  if (type === 'name') {
    if (bytes.length === 0 || bytes.length > 255) {
      throw new PodsocksError('ERR_ADDRESS', `a name takes 1..255 bytes, "${host.slice(0, 32)}…" has ${bytes.length}`);
    }
    out[cursor++] = bytes.length;
  }
  out.set(bytes, cursor);
  cursor += bytes.length;
  out[cursor++] = port >>> 8;
  out[cursor++] = port & 0xff;
  if (cursor > out.length) throw new RangeError('ADDR does not fit the output buffer');
  return cursor - at;
}

/** A target from text, as a user writes it: the type follows from the host. Brackets around IPv6 are allowed. */
export function targetOf(host: string, port: number): Target {
  if (ipaddr.IPv4.isValidFourPartDecimal(host)) return { type: 'ipv4', host, port };
  const bare = host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host;
  if (bare.includes(':') && ipaddr.IPv6.isValid(bare) && !bare.includes('%')) {
    return { type: 'ipv6', host: ipaddr.IPv6.parse(bare).toRFC5952String(), port };
  }
  return { type: 'name', host, port };
}

/** `host:port`, with brackets around IPv6. */
export function formatTarget(target: { host: string; port: number }): string {
  return target.host.includes(':') ? `[${target.host}]:${target.port}` : `${target.host}:${target.port}`;
}

function hostBytes({ type, host }: Target): Uint8Array {
  if (type === 'name') return utf8Encoder.encode(host);
  // ipaddr.js would also parse the short and octal spellings of inet_aton.
  if (type === 'ipv4' ? !ipaddr.IPv4.isValidFourPartDecimal(host) : !ipaddr.IPv6.isValid(host)) {
    throw new PodsocksError('ERR_ADDRESS', `"${host}" is not an ${type} address`);
  }
  return Uint8Array.from(ipaddr.parse(host).toByteArray());
}

function readPort(input: Uint8Array, at: number): number {
  return (input[at]! << 8) | input[at + 1]!;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: finding them is its purpose
const NEVER_IN_NAMES = /[\u0000-\u0020\u007f-\u00a0\ufeff]/;

function decodeName(bytes: Uint8Array): string {
  let name: string;
  try {
    name = utf8.decode(bytes);
  } catch (cause) {
    throw new PodsocksError('ERR_ADDRESS', 'the name in the address is not UTF-8', { cause });
  }
  // No host has white space or control characters in its name; refusing them here keeps them out of logs and resolvers.
  if (NEVER_IN_NAMES.test(name)) {
    throw new PodsocksError('ERR_ADDRESS', 'the name in the address has a control character or a space');
  }
  return name;
}
