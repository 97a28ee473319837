import type { Logger } from '@podsocks/shared/runtime/log';
import type { MappedNames } from '../forward/mapped-names.ts';
import { isOfThisMachine } from '../listen/client-gate.ts';
import type { OpenStream } from '../open-stream.ts';
import type { Router } from '../routing/router.ts';
import type { ServerPool } from '../servers/server-pool.ts';
import type { DnsConfig } from './fields.ts';
import { type RunningDns, startLocalDns } from './local-dns.ts';
import { systemResolvers } from './system-resolvers.ts';

export interface ClusterDnsOptions {
  readonly config: DnsConfig;
  readonly pool: ServerPool;
  readonly router: Pick<Router, 'clusterDomain' | 'clusterNetworks'>;
  readonly mapped: MappedNames;
  /** By the tunnel. */
  readonly openStream: OpenStream;
  readonly log: Logger;
}

/** A local DNS server that knows of the cluster what the server in use says of it. */
export interface ClusterDns extends RunningDns {
  /** Whose names it asks the cluster for. */
  zones(): string[];
}

/** @throws PodsocksError ERR_LISTEN; then nothing runs. */
export async function startClusterDns(options: ClusterDnsOptions): Promise<ClusterDns> {
  const { config, pool, router, mapped, openStream, log } = options;
  const { listen, servers, upstreams } = config;
  const known = () => pool.active.extensions.known;
  const zones = () => [...new Set([router.clusterDomain, ...config.zones])];
  const now = () => performance.now();
  const listed = systemResolvers({ platform: process.platform, resolvConf: '/etc/resolv.conf', now });
  const running = await startLocalDns({
    listen,
    openStream,
    cluster: {
      zones,
      networks: () => router.clusterNetworks,
      nameservers: () => (servers.length > 0 ? servers : (known()?.nameservers ?? [])),
      isHeard: () => known() !== undefined || pool.active.extensions.kind === 'plain',
      heard: () => pool.active.extensions.heard(),
      obstacle: () => (pool.active.extensions.kind === 'unknown' ? SILENT : NOT_NAMED),
    },
    mapped,
    upstreams: upstreams.length > 0 ? () => upstreams : listed,
    isAllowed: isOfThisMachine,
    log,
  });
  return Object.assign(running, { zones });
}

const SILENT =
  'no DNS server of the cluster is known, as the Shadowsocks server has not answered; ss-local doctor says why';

const NOT_NAMED =
  'no DNS server of the cluster is known, as the Shadowsocks server does not name one; give --dns-server';
