import { isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';
import { formatAddress, readAddress } from '@podsocks/shared/matching/ip-address';
import { machineAddresses } from '@podsocks/shared/net/machine-addresses';
import { ipv4OfMapped } from '@podsocks/shared/wire/mapped-address';

/** Asking the system takes 50 µs, and each connection and datagram may ask. */
const KEPT_MS = 2_000;

let addresses: ReadonlySet<string> = new Set();
let askedAt = Number.NEGATIVE_INFINITY;
let interfaces: ReturnType<typeof networkInterfaces> = {};

/** Those of this machine, as the system tells or, where it does not (some sandboxes; no file descriptor is left), last told. */
function knownInterfaces(): typeof interfaces {
  try {
    interfaces = networkInterfaces();
  } catch {
    // as they were
  }
  return interfaces;
}

/** Whether an address is one of this machine's own, or was two seconds ago. */
export function isMachineAddress(address: string): boolean {
  const now = performance.now();
  if (now - askedAt > KEPT_MS) {
    askedAt = now;
    const told = machineAddresses().flatMap(singleAddress);
    if (told.length > 0) addresses = new Set([...told, ...linkLocalAddresses()]);
  }
  return addresses.has(LINK_LOCAL.test(address) ? address : plainAddress(address));
}

const LINK_LOCAL = /^fe[89ab]/i;

/**
 * Of IPv6, with their zones, by name and by number: on another link the same address is somebody else's. Every Mac has fe80::1 for
 * itself, and so has many a router.
 */
function linkLocalAddresses(): string[] {
  return Object.entries(knownInterfaces()).flatMap(([name, entries]) =>
    (entries ?? []).flatMap(entry =>
      entry.family === 'IPv6' && LINK_LOCAL.test(entry.address)
        ? [`${entry.address}%${name}`, `${entry.address}%${entry.scopeid}`]
        : [],
    ),
  );
}

/** Networks are left out: a transparent proxy has 0.0.0.0/0 routed to this machine, and not everybody is this machine. */
function singleAddress(listed: string): string[] {
  const [, address, bits] = /^([^/]*)(?:\/(\d+))?$/.exec(listed) ?? [];
  if (address === undefined || (bits !== undefined && bits !== (address.includes(':') ? '128' : '32'))) return [];
  if (LINK_LOCAL.test(address)) return []; // no address of this machine without its zone
  return [plainAddress(bits !== undefined && isIPv6(address) ? formatAddress(readAddress(address)!) : address)];
}

/** Node names IPv4 clients of a port that takes both families by IPv4-mapped addresses; link-local ones have a zone. */
export function plainAddress(address: string): string {
  const bare = address.replace(/%.*$/, '');
  return ipv4OfMapped(bare) ?? bare;
}

/** The networks that this machine is in, as CIDRs of its addresses. */
export function attachedNetworks(): string[] {
  return Object.values(knownInterfaces()).flatMap(entries => entries?.flatMap(({ cidr }) => cidr ?? []) ?? []);
}

/** The IPv4 addresses by which other machines of the local network reach this one. */
export function lanAddresses(): string[] {
  const all = Object.values(knownInterfaces()).flatMap(entries => entries ?? []);
  return all.filter(({ internal, family }) => !internal && family === 'IPv4').map(({ address }) => address);
}

/** Whether this machine has any address of IPv6. */
export function hasIpv6(): boolean {
  return Object.values(knownInterfaces()).some(entries => entries?.some(({ family }) => family === 'IPv6'));
}
