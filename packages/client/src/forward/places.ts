import { isIPv4 } from 'node:net';
import type { Endpoint } from '@podsocks/shared/net/listener';
import { isWildcard } from '@podsocks/shared/net/wildcard';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import type { Sourced } from '@podsocks/shared/settings/settings';
import { formatTarget, type Target, targetOf } from '@podsocks/shared/wire/address';
import type { Forward } from './fields.ts';
import { MappedNames } from './mapped-names.ts';

/** All that a configuration listens for. */
export interface GivenPlaces {
  /** Where SOCKS and HTTP are to be served. */
  readonly socks: readonly Endpoint[];
  readonly forwards?: Sourced<readonly Forward[]> | undefined;
  readonly maps?: Sourced<readonly Target[]> | undefined;
  readonly dns?: Sourced<Endpoint | undefined> | undefined;
}

interface Place {
  readonly listen: Endpoint;
  readonly protocol: 'tcp' | 'udp';
  /** What says so. */
  readonly from: string;
}

/**
 * Sees that no two listen at one place: the system would say of the second that another program has it.
 *
 * @throws PodsocksError ERR_CONFIG that names both.
 */
export function checkPlaces(given: GivenPlaces, platform: NodeJS.Platform = process.platform): void {
  const byPort = new Map<string, Map<string, Place>>();
  for (const place of placesOf(given)) {
    const { listen, protocol, from } = place;
    if (listen.port === 0) continue;
    const key = `${listen.port}/${protocol}`;
    const taken = byPort.get(key) ?? new Map<string, Place>();
    const { host } = targetOf(listen.host, listen.port);
    const other = taken.get(host) ?? (platform === 'linux' ? besideWildcard(taken, host) : undefined);
    if (other !== undefined) throw new PodsocksError('ERR_CONFIG', `${from}: ${clash(place, other)}`);
    byPort.set(key, taken.set(host, place));
  }
}

function placesOf({ socks, forwards, maps, dns }: GivenPlaces): Place[] {
  const mapped = new MappedNames(maps?.value ?? []).forwards;
  return [
    ...socks.map(listen => ({ listen, protocol: 'tcp' as const, from: SOCKS })),
    ...(forwards?.value ?? []).map(({ listen, protocol }) => ({ listen, protocol, from: forwards!.from })),
    ...mapped.map(({ listen, protocol }) => ({ listen, protocol, from: maps!.from })),
    ...(dns?.value ? PROTOCOLS.map(protocol => ({ listen: dns.value!, protocol, from: dns.from })) : []),
  ];
}

const SOCKS = 'SOCKS and HTTP (-b, -l)';

const PROTOCOLS = ['tcp', 'udp'] as const;

/** On Linux, whoever has all addresses has each of them; elsewhere one may have some of its own beside that. */
function besideWildcard(taken: ReadonlyMap<string, Place>, host: string): Place | undefined {
  const isWithin = (address: string, wildcard: string) =>
    wildcard === '::' || (wildcard === '0.0.0.0' && (isIPv4(address) || address === '::'));
  for (const wildcard of WILDCARDS) {
    const other = taken.get(wildcard);
    if (other !== undefined && isWithin(host, wildcard)) return other;
  }
  if (!isWildcard(host)) return undefined;
  for (const [address, other] of taken) if (isWithin(address, host)) return other;
  return undefined;
}

const WILDCARDS = ['::', '0.0.0.0'];

function clash(place: Place, other: Place): string {
  const [here, there] = [textOf(place), textOf(other)];
  const mend = place.from === SOCKS ? 'leave one out' : 'give each its own port';
  if (place.from === other.from && here === there) return `${here} is to be two things; ${mend}`;
  const owner = here === there ? other.from : `${there} of ${other.from}`;
  return `${here} belongs to ${owner} already; ${mend}`;
}

function textOf({ listen, protocol }: Place): string {
  return `${formatTarget(listen)}/${protocol}`;
}
