import type { KnownServer } from './known-server.ts';

/** What a server in a cluster says of itself, with what a test wants otherwise. */
export function knownServer(otherwise: Partial<KnownServer> = {}): KnownServer {
  return {
    version: '1.2.3',
    user: 'ada',
    hasConnectStatus: true,
    carriesUdp: true,
    carriesUdpOverTcp: true,
    clockAhead: 0,
    domain: 'cluster.local',
    namespace: 'default',
    nameservers: [{ host: '10.96.0.10', port: 53 }],
    search: ['default.svc.cluster.local', 'svc.cluster.local', 'cluster.local'],
    ndots: 5,
    allowed: ['10.0.0.0/8'],
    default: 'deny',
    ...otherwise,
  };
}
