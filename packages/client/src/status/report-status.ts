import type { Endpoint } from '@podsocks/shared/net/listener';
import { carriesUdp } from '@podsocks/shared/settings/mode';
import { formatTarget } from '@podsocks/shared/wire/address';
import type { ClientConfig } from '../config.ts';
import type { ClusterDns } from '../dns/cluster-dns.ts';
import type { Forward } from '../forward/fields.ts';
import type { MappedNames } from '../forward/mapped-names.ts';
import type { Router } from '../routing/router.ts';
import type { ServerPool } from '../servers/server-pool.ts';
import type { Activity } from './activity.ts';
import type { ClientStatus } from './client-status.ts';

export interface ReportedParts {
  readonly config: ClientConfig;
  readonly version: string;
  /** ISO 8601. */
  readonly since: string;
  /** Where SOCKS and HTTP are served. */
  readonly addresses: readonly Endpoint[];
  /** Where a forward is served. */
  readonly addressOf: (forward: Forward) => Endpoint;
  readonly router: Pick<Router, 'inForce'>;
  readonly pool: Pick<ServerPool, 'status'>;
  readonly activity: Activity;
  readonly mapped: MappedNames;
  readonly dns: ClusterDns | undefined;
}

/** What ss-local says of itself when it is asked. */
export function reportStatus(parts: ReportedParts): ClientStatus {
  const { config, version, since, addresses, addressOf, router, pool, activity, mapped, dns } = parts;
  return {
    ssLocal: { version, pid: process.pid },
    since,
    listen: addresses.map(formatTarget),
    asksForPassword: config.socksUsers.length > 0,
    udp: carriesUdp(config.mode) ? (config.udpOverTcp ? 'over-tcp' : 'datagrams') : 'off',
    route: router.inForce,
    servers: pool.status(),
    ...activity.status(),
    ...(dns && { dns: { listen: dns.addresses.map(formatTarget), zones: dns.zones() } }),
    forwards: config.forwards.map(forward => {
      const { target, protocol } = forward;
      return { listen: formatTarget(addressOf(forward)), target: formatTarget(target), protocol };
    }),
    maps: mapped.forwards.map(({ listen, target }) => {
      return { name: target.host, address: listen.host, port: target.port };
    }),
  };
}
