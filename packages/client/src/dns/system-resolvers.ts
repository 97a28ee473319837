import { Resolver } from 'node:dns';
import { isIP } from 'node:net';
import { DNS_PORT, parseResolvConf } from '@podsocks/shared/dns/resolv-conf';
import { WatchedFile } from '@podsocks/shared/dns/watched-file';
import type { Endpoint } from '@podsocks/shared/net/listener';
import { isWildcard, reachedAt } from '@podsocks/shared/net/wildcard';
import { parseHost } from '@podsocks/shared/settings/values';
import { targetOf } from '@podsocks/shared/wire/address';
import { ipv4OfMapped } from '@podsocks/shared/wire/mapped-address';
import { isOfThisMachine } from '../listen/client-gate.ts';

export interface SystemResolversOptions {
  readonly platform: NodeJS.Platform;
  /** Path: /etc/resolv.conf. */
  readonly resolvConf: string;
  /** A clock that never steps back, in milliseconds. */
  readonly now: () => number;
  /** `address` or `address:port` of each, where there is no such file: as node:dns finds them. */
  readonly listed?: () => readonly string[];
}

/** Where no file says it, asking takes some milliseconds, and a network does not change more often. */
const ASK_AGAIN_MS = 5_000;

/** The DNS servers that the system has at the moment, in its order. */
export function systemResolvers(options: SystemResolversOptions): () => readonly Endpoint[] {
  const { platform, resolvConf, now, listed = () => new Resolver().getServers() } = options;
  if (platform !== 'win32' && platform !== 'darwin') {
    const file = new WatchedFile({ path: resolvConf, parse: text => parseResolvConf(text).servers, now });
    return () => file.content();
  }
  // On macOS resolv.conf is for people to read; what counts is elsewhere, and c-ares asks there.
  let servers: readonly Endpoint[] = [];
  let until = Number.NEGATIVE_INFINITY;
  return () => {
    if (now() >= until) {
      until = now() + ASK_AGAIN_MS;
      servers = listed().flatMap(endpointOf);
    }
    return servers;
  };
}

function endpointOf(text: string): Endpoint[] {
  if (isIP(text)) return isPlaceholder(text) ? [] : [{ host: text, port: DNS_PORT }];
  try {
    const { host, port = DNS_PORT } = parseHost(text);
    return isIP(host) ? [{ host, port }] : [];
  } catch {
    return [];
  }
}

/** What Windows lists for adapters without a DNS server. */
function isPlaceholder(address: string): boolean {
  return /^fec0:0:0:ffff::[123](?:%|$)/i.test(address);
}

/**
 * Whether a DNS server is this one: it would ask itself.
 *
 * @param listening where this one listens.
 */
export function isItself(
  { host, port }: Endpoint,
  listening: readonly Endpoint[],
  isOwn: (address: string) => boolean = isOfThisMachine,
): boolean {
  const address = arrivesAt(host);
  return listening.some(own => {
    if (own.port !== port) return false;
    return own.host === address || (isWildcard(own.host) && isOwn(address));
  });
}

/** Where questions to an address arrive, as the system writes it: those to all addresses are for loopback. */
function arrivesAt(host: string): string {
  const { host: written } = targetOf(host, DNS_PORT);
  return reachedAt(ipv4OfMapped(written) ?? written);
}
