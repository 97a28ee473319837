import { PodsocksError } from '../runtime/errors.ts';
import { BITS, formatAddress, type IpAddress, readAddress } from './ip-address.ts';

/** A network in CIDR notation (RFC 4632, RFC 4291 section 2.3): the addresses that begin with the same bits. */
export interface Network {
  readonly kind: 'network';
  /** The first address, without bits behind the prefix. */
  readonly base: IpAddress;
  /** Bits that all have in common: 0..32, or 0..128. */
  readonly prefix: number;
}

/**
 * Reads `10.0.0.0/8`, `10.1.2.3`, `fd00::/8` or `::1`. A network of IPv4-mapped addresses (`::ffff:10.0.0.0/104`) is the
 * IPv4 network; one that is wider than those (`::/0`) is IPv6 alone.
 *
 * @throws PodsocksError ERR_CONFIG, also where bits behind the prefix are set: of `10.0.0.1/8` nobody knows whether the
 *   address or the prefix is the slip.
 */
export function parseNetwork(text: string): Network {
  const { network, address } = readNetwork(text) ?? {};
  if (network === undefined || address === undefined) {
    throw new PodsocksError(
      'ERR_CONFIG',
      `${JSON.stringify(text.slice(0, 60))} is not a network; give an address or CIDR, such as 10.0.0.0/8 or fd00::/8`,
    );
  }
  if (!sameAddress(network.base, address)) {
    throw new PodsocksError(
      'ERR_CONFIG',
      `${text} has bits behind its prefix; write ${formatNetwork(network)}, or ${formatAddress(address)} for the one address`,
    );
  }
  return network;
}

/**
 * As {@link parseNetwork}, with bits behind the prefix cleared, which shadowsocks-libev does.
 *
 * @returns the network, and the address as it is written; undefined where the text is neither address nor CIDR.
 */
export function readNetwork(text: string): { network: Network; address: IpAddress } | undefined {
  const [, host, bits] = /^([0-9a-fA-F:.]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const address = host === undefined ? undefined : readAddress(host);
  if (host === undefined || address === undefined) return undefined;
  const written = host.includes(':') ? 128 : 32;
  const length = bits === undefined ? written : Number(bits);
  if (length > written) return undefined;
  const isMapped = written === 128 && address.family === 4;
  if (isMapped && length < 96) {
    // Wider than all mapped addresses, so IPv6: the first bits are those of ::ffff:0:0.
    const base = masked({ family: 6, a: 0, b: 0, c: 0xffff, d: address.d }, length);
    return { network: { kind: 'network', base, prefix: length }, address: base };
  }
  const prefix = isMapped ? length - 96 : length;
  return { network: { kind: 'network', base: masked(address, prefix), prefix }, address };
}

/** `10.0.0.0/8`; a single address without its prefix. */
export function formatNetwork({ base, prefix }: Network): string {
  const address = formatAddress(base);
  return prefix === BITS[base.family] ? address : `${address}/${prefix}`;
}

/** Whether the address is in the network. */
export function contains({ base, prefix }: Network, address: IpAddress): boolean {
  if (base.family !== address.family) return false;
  if (base.family === 4) return ((base.d ^ address.d) & maskOf(prefix)) === 0;
  return (
    ((base.a ^ address.a) & maskOf(prefix)) === 0 &&
    ((base.b ^ address.b) & maskOf(prefix - 32)) === 0 &&
    ((base.c ^ address.c) & maskOf(prefix - 64)) === 0 &&
    ((base.d ^ address.d) & maskOf(prefix - 96)) === 0
  );
}

/** The order of addresses by value, those of IPv4 first. */
export function compareAddresses(one: IpAddress, other: IpAddress): number {
  return (
    one.family - other.family ||
    (one.a >>> 0) - (other.a >>> 0) ||
    (one.b >>> 0) - (other.b >>> 0) ||
    (one.c >>> 0) - (other.c >>> 0) ||
    (one.d >>> 0) - (other.d >>> 0)
  );
}

function sameAddress(one: IpAddress, other: IpAddress): boolean {
  return compareAddresses(one, other) === 0;
}

function masked({ family, a, b, c, d }: IpAddress, prefix: number): IpAddress {
  if (family === 4) return { family, a, b, c, d: d & maskOf(prefix) };
  return {
    family,
    a: a & maskOf(prefix),
    b: b & maskOf(prefix - 32),
    c: c & maskOf(prefix - 64),
    d: d & maskOf(prefix - 96),
  };
}

/** The mask of a word of which the first `bits` count: none for 0 and less, all for 32 and more. */
function maskOf(bits: number): number {
  return bits <= 0 ? 0 : bits >= 32 ? -1 : -1 << (32 - bits);
}
