import { getServers } from 'node:dns';
import { hostname } from 'node:os';
import { DNS_PORT } from '@podsocks/shared/dns/resolv-conf';
import { queryBudget } from '@podsocks/shared/net/descriptors';
import type { Endpoint } from '@podsocks/shared/net/listener';
import { parseHost } from '@podsocks/shared/settings/values';
import type { ServerConfig } from './config.ts';
import { createResolver, type Resolver } from './resolver/resolver.ts';

/** The resolver of ss-server, on this machine's files and clock. */
export function resolverOf({ nameservers, dnsSearch, dnsNdots, ipv6First, nofile }: ServerConfig): Resolver {
  return createResolver({
    resolvConf: '/etc/resolv.conf',
    hosts: '/etc/hosts',
    hostname: hostname(),
    servers: nameservers ?? systemServers(),
    search: dnsSearch,
    ndots: dnsNdots,
    ipv6First,
    now: () => performance.now(),
    limits: { queries: queryBudget(nofile) },
  });
}

/** Windows has no resolv.conf, but node:dns knows the servers there. */
export function systemServers(): readonly Endpoint[] | undefined {
  if (process.platform !== 'win32') return undefined;
  const servers = getServers().map(text => ({ port: DNS_PORT, ...parseHost(text) }));
  return servers.length > 0 ? servers : undefined;
}
