import { formatNetwork, readNetwork } from '@podsocks/shared/matching/network';
import type { Endpoint } from '@podsocks/shared/net/listener';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { parseHost } from '@podsocks/shared/settings/values';
import { INFORMATION_HOST } from '@podsocks/shared/wire/information';

/** What a podsocks server says of itself and its cluster. All of it was looked at: it may be printed, and is not long. */
export interface KnownServer {
  readonly version: string;
  /** As whom it knows this client. */
  readonly user: string | undefined;
  /** Whether it tells what became of a connect. */
  readonly hasConnectStatus: boolean;
  /** Whether it takes datagrams, and streams of them. */
  readonly carriesUdp: boolean;
  readonly carriesUdpOverTcp: boolean;
  /** Milliseconds that its clock is ahead of ours, within a round trip. */
  readonly clockAhead: number | undefined;
  /** The domain of its cluster, where it is in one. */
  readonly domain: string | undefined;
  /** The namespace of its pod. */
  readonly namespace: string | undefined;
  readonly nameservers: readonly Endpoint[];
  readonly search: readonly string[];
  readonly ndots: number;
  /** Networks that rules allow this client, on some port at least, in CIDR notation. */
  readonly allowed: readonly string[];
  /** What becomes of all that no rule speaks of. */
  readonly default: 'allow' | 'deny';
}

/** More is of no use, and comes from somebody who means no good. */
const MOST_NAMESERVERS = 16;
const MOST_SEARCHED = 32;
const MOST_NETWORKS = 256;

const DNS_PORT = 53;
const DEFAULT_NDOTS = 5;
const MOST_NDOTS = 15;

const NAME = /^[\w.-]{1,253}$/;

/**
 * Reads the answer to `GET /v1/info`. What is missing or makes no sense is left out; without version and features it is no
 * answer of podsocks.
 *
 * @param serverTime milliseconds since 1970 by our clock, when the server has answered.
 * @throws PodsocksError ERR_HEADER for what podsocks would not say.
 */
export function readInformation(body: string, serverTime: number): KnownServer {
  let information: unknown;
  try {
    information = JSON.parse(body);
  } catch {
    throw noInformation('no JSON');
  }
  const { podsocks, features, cluster, time, user } = asObject(information);
  const { version } = asObject(podsocks);
  if (typeof version !== 'string' || !/^[\w.+-]{1,64}$/.test(version)) throw noInformation('no version of podsocks');
  if (!Array.isArray(features)) throw noInformation('no list of features');
  const said = asObject(cluster);
  const clock = typeof time === 'string' ? Date.parse(time) : Number.NaN;
  return {
    version,
    user: typeof user === 'string' && /^[^\p{C}]{1,256}$/u.test(user) ? user : undefined,
    hasConnectStatus: features.includes('connect-status'),
    carriesUdp: features.includes('udp'),
    carriesUdpOverTcp: features.includes('udp-over-tcp'),
    clockAhead: Number.isNaN(clock) ? undefined : Math.round(clock - serverTime),
    domain: asName(said.domain),
    namespace: asName(said.namespace),
    nameservers: texts(said.nameservers, MOST_NAMESERVERS).flatMap(asNameserver),
    search: texts(said.search, MOST_SEARCHED).filter(name => NAME.test(name)),
    ndots: Number.isInteger(said.ndots) ? Math.min(Math.max(said.ndots as number, 0), MOST_NDOTS) : DEFAULT_NDOTS,
    allowed: texts(said.allowed, MOST_NETWORKS).flatMap(asNetwork),
    default: said.default === 'deny' ? 'deny' : 'allow',
  };
}

/** @returns ERR_HEADER. */
export function noInformation(what: string): PodsocksError {
  return new PodsocksError('ERR_HEADER', `${INFORMATION_HOST.host} answers what podsocks would not: ${what}`);
}

function asObject(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

function asName(value: unknown): string | undefined {
  return typeof value === 'string' && NAME.test(value) ? value : undefined;
}

function texts(value: unknown, most: number): string[] {
  return Array.isArray(value) ? value.slice(0, most).filter(item => typeof item === 'string') : [];
}

function asNameserver(text: string): Endpoint[] {
  try {
    const { host, port = DNS_PORT } = parseHost(text);
    return port === 0 ? [] : [{ host, port }];
  } catch {
    return [];
  }
}

function asNetwork(text: string): string[] {
  const { network } = readNetwork(text) ?? {};
  return network === undefined ? [] : [formatNetwork(network)];
}
