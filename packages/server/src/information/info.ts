import { DNS_PORT } from '@podsocks/shared/dns/resolv-conf';
import { formatNetwork } from '@podsocks/shared/matching/network';
import { formatTarget } from '@podsocks/shared/wire/address';
import type { ClusterInformation, Feature, ServerInformation } from '@podsocks/shared/wire/information';
import type { InformationRequest, InformationSources } from './answer.ts';
import { VERSION } from './version.ts';

/** More would be of no use to a client, and a policy may have thousands. */
const MOST_NETWORKS = 64;

/** `GET /v1/info` */
export function info({ user }: InformationRequest, sources: InformationSources): ServerInformation {
  const features: Feature[] = ['connect-status', ...(sources.carriesUdp ? (['udp'] as const) : []), 'udp-over-tcp'];
  return {
    podsocks: { version: VERSION },
    time: new Date().toISOString(),
    user,
    features,
    cluster: cluster(user, sources),
  };
}

function cluster(user: string, { resolver, policy }: InformationSources): ClusterInformation {
  const { servers, search, ndots } = resolver.settings;
  return {
    ...podDomain(search),
    nameservers: servers.map(server => (server.port === DNS_PORT ? server.host : formatTarget(server))),
    search,
    ndots,
    allowed: policy.allowedNetworks(user, MOST_NETWORKS).map(formatNetwork),
    default: policy.default,
  };
}

/** The search list of a pod begins with `<namespace>.svc.<domain>` (Kubernetes, "DNS for Services and Pods"). */
export function podDomain(search: readonly string[]): Pick<ClusterInformation, 'domain' | 'namespace'> {
  for (const entry of search) {
    const [, namespace, domain] = /^([^.]+)\.svc\.(.+)$/.exec(entry) ?? [];
    if (namespace !== undefined && domain !== undefined) return { domain, namespace };
  }
  return { domain: null, namespace: null };
}
