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

/** The byte before each type of host, for protocols that have ADDR with bytes of their own. */
export type AddressTypes = Readonly<Record<Target['type'], number>>;

/** The longest ADDR: 1 + 1 + 255 + 2. */
export const ADDRESS_MAX_BYTES = 1 + 1 + 255 + 2;

/** How many IPv6 addresses are remembered in each direction: some 50 KiB of them. */
const REMEMBERED = 256;

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
 * @param types the bytes that stand for ATYP.
 * @returns the target and the bytes that ADDR took, or undefined while more bytes are needed.
 * @throws PodsocksError ERR_ADDRESS for an unknown ATYP or a name that cannot be one.
 */
export function decodeAddress(
  input: Uint8Array,
  at: number,
  end: number,
  types: AddressTypes = Atyp,
): { target: Target; length: number } | undefined {
  if (at >= end) return undefined;
  const atyp = input[at]!;
  switch (atyp) {
    case types.ipv4: {
      const length = 1 + 4 + 2;
      if (end - at < length) return undefined;
      const host = `${input[at + 1]}.${input[at + 2]}.${input[at + 3]}.${input[at + 4]}`;
      return { target: { type: 'ipv4', host, port: readU16(input, at + 5) }, length };
    }
    case types.ipv6: {
      const length = 1 + 16 + 2;
      if (end - at < length) return undefined;
      const host = ipv6Text(ipv6Groups(input, at + 1));
      return { target: { type: 'ipv6', host, port: readU16(input, at + 17) }, length };
    }
    case types.name: {
      if (end - at < 2) return undefined;
      const nameLength = input[at + 1]!;
      if (nameLength === 0) throw new PodsocksError('ERR_ADDRESS', 'the name in the address is empty');
      const length = 1 + 1 + nameLength + 2;
      if (end - at < length) return undefined;
      const host = decodeName(input.subarray(at + 2, at + 2 + nameLength));
      return { target: { type: 'name', host, port: readU16(input, at + 2 + nameLength) }, length };
    }
    default:
      throw new PodsocksError('ERR_ADDRESS', `unknown address type 0x${atyp.toString(16).padStart(2, '0')}`);
  }
}

/**
 * Writes ADDR at `out[at..]`.
 *
 * @param types the bytes that stand for ATYP.
 * @returns the bytes written, at most {@link ADDRESS_MAX_BYTES}.
 * @throws PodsocksError ERR_ADDRESS when the host does not fit its type; RangeError when `out` is too small.
 */
export function encodeAddress(out: Uint8Array, at: number, target: Target, types: AddressTypes = Atyp): number {
  const { type, host, port } = target;
  const bytes = hostBytes(target);
  if (!Number.isInteger(port) || port < 0 || port > 0xffff) {
    throw new PodsocksError('ERR_ADDRESS', `port ${port} is not in 0..65535`);
  }
  let cursor = at;
  out[cursor++] = types[type];
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
  if (parseIpv4(host) !== undefined) return { type: 'ipv4', host, port };
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
  if (type === 'ipv6') return ipv6Bytes(host);
  const bytes = parseIpv4(host);
  if (bytes === undefined) throw isNot(type, host);
  return bytes;
}

function isNot(type: string, host: string): PodsocksError {
  return new PodsocksError('ERR_ADDRESS', `"${host}" is not an ${type} address`);
}

const DOT = 0x2e;
const DIGIT_0 = 0x30;
const DIGIT_9 = 0x39;

/** What parseIpv4 found: to be used before its next call. */
const ipv4Scratch = new Uint8Array(4);

/**
 * The bytes of a dotted quad, or undefined when a part is missing, above 255, or begins with a zero, which some would read
 * as octal. By hand, because every UDP packet has an address: ipaddr.js takes 1.3 µs to check and read one.
 */
function parseIpv4(host: string): Uint8Array | undefined {
  let index = 0;
  let part = -1; // before its first digit
  for (let i = 0; i < host.length; i++) {
    const code = host.charCodeAt(i);
    if (code === DOT) {
      if (part < 0 || index === 3) return undefined;
      ipv4Scratch[index++] = part;
      part = -1;
    } else {
      if (code < DIGIT_0 || code > DIGIT_9 || part === 0) return undefined;
      part = (part < 0 ? 0 : part * 10) + code - DIGIT_0;
      if (part > 255) return undefined;
    }
  }
  if (part < 0 || index < 3) return undefined;
  ipv4Scratch[3] = part;
  return ipv4Scratch;
}

const ipv6Bytes = remembering(host => {
  if (!ipaddr.IPv6.isValid(host)) throw isNot('ipv6', host);
  return Uint8Array.from(ipaddr.IPv6.parse(host).toByteArray());
});

/** The RFC 5952 text of an IPv6 address. Its eight groups are the key, a UTF-16 unit each. */
const ipv6Text = remembering(groups =>
  new ipaddr.IPv6(groups.split('').map(group => group.charCodeAt(0))).toRFC5952String(),
);

function ipv6Groups(input: Uint8Array, at: number): string {
  return String.fromCharCode(
    readU16(input, at),
    readU16(input, at + 2),
    readU16(input, at + 4),
    readU16(input, at + 6),
    readU16(input, at + 8),
    readU16(input, at + 10),
    readU16(input, at + 12),
    readU16(input, at + 14),
  );
}

/**
 * `compute` with its last results remembered: the packets of a UDP session repeat a few addresses, and ipaddr.js takes 3 µs
 * to read an IPv6 address and 1 µs to write one, about what sealing the packet takes.
 */
function remembering<T>(compute: (key: string) => T): (key: string) => T {
  const results = new Map<string, T>();
  return key => {
    let result = results.get(key);
    if (result === undefined) {
      result = compute(key);
      if (results.size === REMEMBERED) results.clear(); // as good as dropping the oldest, and less to do
      results.set(key, result);
    }
    return result;
  };
}

function readU16(input: Uint8Array, at: number): number {
  return (input[at]! << 8) | input[at + 1]!;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: finding them is its purpose
const NEVER_IN_NAMES = /[\u0000-\u0020\u007f-\u00a0\p{Cf}\p{Zl}\p{Zp}]/u;

function decodeName(bytes: Uint8Array): string {
  let name: string;
  try {
    name = utf8.decode(bytes);
  } catch (cause) {
    throw new PodsocksError('ERR_ADDRESS', 'the name in the address is not UTF-8', { cause });
  }
  // No host has white space, control characters, or marks of direction in its name; refusing them here keeps them out of logs and resolvers.
  if (NEVER_IN_NAMES.test(name)) {
    throw new PodsocksError('ERR_ADDRESS', 'the name in the address has a control character or a space');
  }
  return name;
}
