import type { IpAddress } from '@podsocks/shared/matching/ip-address';
import { readName } from '@podsocks/shared/matching/name-pattern';
import { contains, formatNetwork, type Network } from '@podsocks/shared/matching/network';
import { INFORMATION_HOST } from '@podsocks/shared/wire/information';
import type { KnownServer } from '../servers/known-server.ts';
import { type AskedHost, addressOfReverseName, isLocalhost } from './asked-host.ts';
import {
  attachedNetwork,
  clusterDomain,
  clusterNetworks,
  DEFAULT_DOMAIN,
  isLocal,
  mayBeBeside,
  PRIVATE,
} from './plausible-cluster.ts';

/** What a server says of its cluster; see ClusterInformation. */
export interface KnownCluster {
  readonly domain?: string;
  readonly namespace?: string;
  /** Addresses, with a port where it is not 53. */
  readonly nameservers: readonly string[];
  /** CIDRs. */
  readonly allowed: readonly string[];
  readonly default: 'allow' | 'deny';
}

/** What of a server's words is about its cluster. */
export function clusterOf({ domain, namespace, nameservers, allowed, default: otherwise }: KnownServer): KnownCluster {
  return {
    ...(domain && { domain }),
    ...(namespace && { namespace }),
    nameservers: nameservers.map(({ host }) => host),
    allowed,
    default: otherwise,
  };
}

export interface ClusterRoutesOptions {
  /** What is known of the cluster, if anything is. */
  readonly cluster: KnownCluster | undefined;
  /** Those that the user works in. */
  readonly namespaces: readonly string[];
  /** The networks that this machine is in, as CIDRs of its own addresses. */
  readonly attached: readonly string[];
  /** No server has shown what it is yet: private addresses may be the cluster's, and are not for the network here. */
  readonly presumes?: boolean;
}

/** Every cluster has these, and no top-level domain is called so. */
const NAMESPACES_OF_ALL = ['default', 'kube-system'];

/** What goes through the tunnel without any rule, because it is the cluster's. Names are as {@link readHost} spells them. */
export class ClusterRoutes {
  /** Of Services and pods. */
  readonly domain: string;
  readonly #ownNamespaces: readonly string[];
  /** All of which `name.namespace` is known. */
  readonly namespaces: readonly string[];
  /** Those that the server has told. */
  readonly networks: readonly Network[];
  /** Those whose addresses go through the tunnel: the same, or, of a silent server, what may be the cluster's. */
  readonly tunnelled: readonly Network[];
  /** Those that this machine is in, and its own addresses. */
  readonly attached: readonly Network[];
  readonly #presumes: boolean;

  constructor({ cluster, namespaces, attached, presumes = false }: ClusterRoutesOptions) {
    this.domain = clusterDomain(cluster?.domain) ?? DEFAULT_DOMAIN;
    this.#ownNamespaces = namespaces;
    const ofCluster = cluster === undefined ? [] : [...NAMESPACES_OF_ALL, ...unmistakable(cluster.namespace)];
    this.namespaces = [...new Set([...namespaces, ...ofCluster])];
    this.attached = attached.flatMap(attachedNetwork);
    this.networks =
      cluster === undefined
        ? []
        : clusterNetworks(cluster.allowed, cluster.nameservers).filter(each => mayBeBeside(each, this.attached));
    this.#presumes = presumes;
    this.tunnelled = presumes ? PRIVATE : this.networks;
  }

  /** Whether anything is known by which to tell the cluster from the rest. */
  static tells(cluster: KnownCluster): boolean {
    return clusterDomain(cluster.domain) !== undefined || clusterNetworks(cluster.allowed, []).length > 0;
  }

  /** The Service that a name without dots means in the first of the user's namespaces. */
  complete({ name, absolute }: AskedHost): string | undefined {
    if (this.#ownNamespaces.length === 0 || name === undefined || absolute) return undefined;
    if (name.includes('.') || name === 'localhost') return undefined;
    return readName(`${name}${this.suffix}`);
  }

  /** What {@link complete} puts behind a name, if it does. */
  get suffix(): string {
    const [namespace] = this.#ownNamespaces;
    return namespace === undefined ? '' : `.${namespace}.svc.${this.domain}`;
  }

  /** @returns what of it is the cluster's, or undefined. */
  reasonFor({ name, address, absolute }: AskedHost): string | undefined {
    if (address !== undefined) return isLocal(address) ? undefined : this.#networkOf(address);
    if (name === undefined || isLocalhost(name)) return undefined;
    if (name === INFORMATION_HOST.host) return name;
    if (name === this.domain || name.endsWith(`.${this.domain}`)) return `*.${this.domain}`;
    if (name.endsWith('.svc')) return '*.svc';
    const [, namespace] = absolute ? [] : (/^[^.]+\.([^.]+)$/.exec(name) ?? []);
    if (namespace !== undefined && this.namespaces.includes(namespace)) return `*.${namespace}`;
    const asked = addressOfReverseName(name);
    return asked && this.#networkOf(asked);
  }

  /** The cluster's network that an address is in, unless this machine is in one as narrow, or the address is its own. */
  #networkOf(address: IpAddress): string | undefined {
    const cluster = narrowest(this.tunnelled, address);
    if (cluster === undefined) return undefined;
    const attached = narrowest(this.attached, address);
    if (attached !== undefined && attached.prefix >= cluster.prefix) return undefined;
    return `${formatNetwork(cluster)}${this.#presumes ? ', private, and the server has not said what is its' : ''}`;
  }
}

function narrowest(networks: readonly Network[], address: IpAddress): Network | undefined {
  let best: Network | undefined;
  for (const network of networks) {
    if (contains(network, address) && (best === undefined || network.prefix > best.prefix)) best = network;
  }
  return best;
}

/** Top-level domains are letters alone, or begin with `xn--`: with a namespace `dev`, `web.dev` may be a Service, and is a public site. */
function unmistakable(namespace: string | undefined): string[] {
  const may = namespace !== undefined && readName(namespace) === namespace && /[\d-]/.test(namespace);
  return may && !namespace.startsWith('xn--') ? [namespace] : [];
}
