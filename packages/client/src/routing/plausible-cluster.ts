import type { IpAddress } from '@podsocks/shared/matching/ip-address';
import { readName } from '@podsocks/shared/matching/name-pattern';
import { contains, type Network, parseNetwork, readNetwork } from '@podsocks/shared/matching/network';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { parseHost } from '@podsocks/shared/settings/values';

/*
 * What of a server's words about its cluster is believed. A server that somebody has taken over would like to see more of the
 * laptop's traffic than what is the cluster's: it may say `com`, or all of IPv4 in parts, or the laptop's own network.
 */

export const DEFAULT_DOMAIN = 'cluster.local';

/** Domains of one label that are no top-level domain, nor that of multicast DNS (`local`). */
const SINGLE_LABELS = ['cluster', 'internal', 'k8s', 'kubernetes'];

/** `co.uk` and its like. The list of all public suffixes is long and changes; the rest of them remains a risk. */
const PUBLIC_SUFFIX = /^(?:ac|co|com|edu|go|gob|gov|mil|ne|net|or|org)\.[a-z]{2}$/;

/** @returns the domain, in lower case, where it can be that of a cluster. */
export function clusterDomain(told: string | undefined): string | undefined {
  const name = readName(told ?? '');
  if (name === undefined || PUBLIC_SUFFIX.test(name) || name.endsWith('.arpa')) return undefined;
  return name.includes('.') || SINGLE_LABELS.includes(name) ? name : undefined;
}

/** RFC 1918, RFC 6598 and RFC 4193: where clusters are. */
export const PRIVATE = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', 'fc00::/7'].map(parseNetwork);

/** What else is no part of the internet (RFC 6890); clusters are in 198.18.0.0/15 and 240.0.0.0/4, too. */
const NOT_GLOBAL = [
  ...PRIVATE,
  ...['192.0.2.0/24', '198.18.0.0/15', '198.51.100.0/24', '203.0.113.0/24', '240.0.0.0/4', '2001:db8::/32'].map(
    parseNetwork,
  ),
];

/** What is always on this machine or its link. */
const LOCAL = ['127.0.0.0/8', '::1', '169.254.0.0/16', 'fe80::/10'].map(parseNetwork);

/** Where there is NAT64, it is the internet of IPv4 (RFC 6052). */
const NAT64 = parseNetwork('64:ff9b::/96');

/** Wider networks say what a user may reach, and not where the cluster is. 0.0.0.0/0 would take everything. */
const WIDEST = { 4: 8, 6: 16 } as const;
const WIDEST_PUBLIC = { 4: 16, 6: 48 } as const;

/** More public networks say what a user may reach, too. */
const MOST_PUBLIC = 16;

/** A network as narrow as this one that the laptop is in is one link, and all in it is there. */
const LINK = { 4: 16, 6: 48 } as const;

/** No cluster has a network of its own as narrow as this: it is hosts. */
const HOSTS = { 4: 29, 6: 125 } as const;

export function isLocal(address: IpAddress): boolean {
  return LOCAL.some(network => contains(network, address));
}

/**
 * The networks that can be the cluster's, and its DNS servers that are in none of them. What makes no sense is left out.
 *
 * @param allowed CIDRs.
 * @param nameservers addresses, with a port or without.
 */
export function clusterNetworks(allowed: readonly string[], nameservers: readonly string[]): Network[] {
  const networks = allowed.flatMap(network).filter(isNarrow);
  const servers = nameservers.flatMap(addressOf).flatMap(network);
  const others = servers.filter(({ base }) => !networks.some(each => contains(each, base)));
  const all = [...networks, ...others].filter(({ base }) => !isLocal(base) && !contains(NAT64, base));
  const publicOnes = all.filter(isPublic);
  return publicOnes.length > MOST_PUBLIC ? all.filter(each => !isPublic(each)) : all;
}

/** A network that the machine is in, and its own address there; from the CIDR of that address. */
export function attachedNetwork(cidr: string): Network[] {
  return [...network(cidr), ...network(cidr.replace(/\/.*$/, ''))];
}

/**
 * Whether a network can be the cluster's beside those that the machine is in. In one of those, only if that is no single link, and
 * with more than a few hosts: a laptop in 10.0.0.0/8 has a cluster at 10.96.0.0/12; one in 192.168.1.0/24 has none at
 * 192.168.1.1, where its router is, and none at 192.168.1.0/25.
 */
export function mayBeBeside({ base, prefix }: Network, attached: readonly Network[]): boolean {
  const { family } = base;
  return attached.every(own => {
    const isWithin = own.prefix <= prefix && contains(own, base);
    return !isWithin || (own.prefix < LINK[family] && own.prefix < prefix && prefix < HOSTS[family]);
  });
}

function isPublic({ base, prefix }: Network): boolean {
  return !NOT_GLOBAL.some(each => each.prefix <= prefix && contains(each, base));
}

function isNarrow(network: Network): boolean {
  return network.prefix >= (isPublic(network) ? WIDEST_PUBLIC : WIDEST)[network.base.family];
}

function network(cidr: string): Network[] {
  const read = readNetwork(cidr)?.network;
  return read === undefined ? [] : [read];
}

function addressOf(server: string): string[] {
  try {
    return [parseHost(server).host];
  } catch (error) {
    if (error instanceof PodsocksError) return [];
    throw error;
  }
}
