import { readAddress } from '@podsocks/shared/matching/ip-address';
import { contains, type Network, readNetwork } from '@podsocks/shared/matching/network';
import type { Endpoint } from '@podsocks/shared/net/listener';

/** What is known of the cluster at the moment; it changes when the server has said what it is, or another takes its place. */
export interface ClusterNames {
  /** Domains whose names its DNS knows, in lower case and without a dot at the end; `.` is everything. */
  zones(): readonly string[];
  /** CIDR: whose addresses its DNS has names of. */
  networks(): readonly string[];
  /** Its DNS servers, as they are called there, in the order to be asked. */
  nameservers(): readonly Endpoint[];
  /** Whether the server has said what its cluster is, or that it never will. */
  isHeard(): boolean;
  /** Waits for what is not known yet, where that may come soon. Never rejects. */
  heard(): Promise<void>;
  /** Why no DNS server of it is known, and what to do. */
  obstacle(): string;
}

/** Which names the cluster is asked for. */
export class ClusterZones {
  readonly #zones: readonly string[];
  readonly #networks: readonly Network[];

  /** Networks that are none do not count. */
  constructor(zones: readonly string[], networks: readonly string[]) {
    this.#zones = zones;
    this.#networks = networks.flatMap(text => readNetwork(text)?.network ?? []);
  }

  /** @param name lower case, no dot at the end. */
  has(name: string): boolean {
    if (this.#zones.some(zone => zone === '.' || name === zone || name.endsWith(`.${zone}`))) return true;
    const reverse = this.#networks.length > 0 ? networkOfReverse(name) : undefined;
    return reverse !== undefined && this.#networks.some(network => isWithin(reverse, network));
  }
}

function isWithin(inner: Network, outer: Network): boolean {
  return inner.prefix >= outer.prefix && contains(outer, inner.base);
}

const REVERSE = /^(?:(.*)\.)?(in-addr|ip6)\.arpa$/;

/**
 * The addresses whose names are at, or below, a name of the reverse zones: one for `1.0.96.10.in-addr.arpa` (RFC 1035 section
 * 3.5) and its like in ip6.arpa (RFC 3596 section 2.5), a network for `96.10.in-addr.arpa`. Labels that are no part of an address,
 * such as those of RFC 2317, do not count, nor what stands ahead of them.
 */
export function networkOfReverse(name: string): Network | undefined {
  const [, labels = '', family] = REVERSE.exec(name) ?? [];
  if (family === undefined) return undefined;
  const [digits, most] = family === 'ip6' ? ([/^[0-9a-f]$/, 32] as const) : ([OCTET, 4] as const);
  const parts: string[] = [];
  for (const label of labels.split('.').reverse()) {
    if (parts.length === most || !digits.test(label)) break;
    parts.push(label);
  }
  const prefix = parts.length * (family === 'ip6' ? 4 : 8);
  while (parts.length < most) parts.push('0');
  const text = family === 'ip6' ? parts.join('').replace(/.{4}(?=.)/g, '$&:') : parts.join('.');
  const base = readAddress(text);
  // IPv4-mapped addresses have their names under in-addr.arpa.
  if (base === undefined || base.family !== (family === 'ip6' ? 6 : 4)) return undefined;
  return { kind: 'network', base, prefix };
}

const OCTET = /^(?:0|[1-9]\d?|1\d\d|2[0-4]\d|25[0-5])$/;
