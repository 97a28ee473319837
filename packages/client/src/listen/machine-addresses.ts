import { networkInterfaces } from 'node:os';
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
    const all = Object.values(networkInterfaces()).flatMap(entries => entries ?? []);
    addresses = new Set(all.map(entry => plainAddress(entry.address)));
  }
  return addresses.has(plainAddress(address));
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
