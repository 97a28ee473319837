import { isIPv6 } from 'node:net';
import { networkInterfaces } from 'node:os';
import { formatAddress, readAddress } from '@podsocks/shared/matching/ip-address';
import { machineAddresses } from '@podsocks/shared/net/machine-addresses';
import { ipv4OfMapped } from '@podsocks/shared/wire/mapped-address';

/** Asking the system takes 50 µs, and each connection and datagram may ask. */
const KEPT_MS = 2_000;

let addresses: ReadonlySet<string> = new Set();
let askedAt = Number.NEGATIVE_INFINITY;

/** Whether an address is one of this machine's own, or was two seconds ago. */
export function isMachineAddress(address: string): boolean {
  const now = performance.now();
  if (now - askedAt > KEPT_MS) {
    askedAt = now;
    addresses = new Set(machineAddresses().flatMap(singleAddress));
  }
  return addresses.has(plainAddress(address));
}

/** Networks are left out: a transparent proxy has 0.0.0.0/0 routed to this machine, and not everybody is this machine. */
function singleAddress(listed: string): string[] {
  const [, address, bits] = /^([^/]*)(?:\/(\d+))?$/.exec(listed) ?? [];
  if (address === undefined || (bits !== undefined && bits !== (address.includes(':') ? '128' : '32'))) return [];
  return [plainAddress(bits !== undefined && isIPv6(address) ? formatAddress(readAddress(address)!) : address)];
}

/** Node names IPv4 clients of a port that takes both families by IPv4-mapped addresses; link-local ones have a zone. */
export function plainAddress(address: string): string {
  const bare = address.replace(/%.*$/, '');
  return ipv4OfMapped(bare) ?? bare;
}

/** The networks that this machine is in, as CIDRs of its addresses. */
export function attachedNetworks(): string[] {
  return Object.values(networkInterfaces()).flatMap(entries => entries?.flatMap(({ cidr }) => cidr ?? []) ?? []);
}

/** The IPv4 addresses by which other machines of the local network reach this one. */
export function lanAddresses(): string[] {
  const all = Object.values(networkInterfaces()).flatMap(entries => entries ?? []);
  return all.filter(({ internal, family }) => !internal && family === 'IPv4').map(({ address }) => address);
}
