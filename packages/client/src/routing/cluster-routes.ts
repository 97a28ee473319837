import type { IpAddress } from '@podsocks/shared/matching/ip-address';
import { readName } from '@podsocks/shared/matching/name-pattern';
import { contains, formatNetwork, type Network, parseNetwork, readNetwork } from '@podsocks/shared/matching/network';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { parseHost } from '@podsocks/shared/settings/values';
import { INFORMATION_HOST } from '@podsocks/shared/wire/information';
import type { KnownServer } from '../servers/known-server.ts';
import { type AskedHost, addressOfReverseName, isLocalhost } from './asked-host.ts';

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
}

const DEFAULT_DOMAIN = 'cluster.local';

/** Every cluster has these, and no top-level domain is called so. */
const NAMESPACES_OF_ALL = ['default', 'kube-system'];

/** Wider networks say what a user may reach, and not where the cluster is. 0.0.0.0/0 would take everything. */
const WIDEST = { 4: 8, 6: 16 } as const;

/** What is always on this machine or its link. */
const LOCAL = ['127.0.0.0/8', '::1', '169.254.0.0/16', 'fe80::/10'].map(parseNetwork);

/** What goes through the tunnel without any rule, because it is the cluster's. Names are as {@link readHost} spells them. */
export class ClusterRoutes {
  /** Of Services and pods. */
  readonly domain: string;
  readonly #ownNamespaces: readonly string[];
  /** All of which `name.namespace` is known. */
  readonly namespaces: readonly string[];
  readonly networks: readonly Network[];
  readonly attached: readonly Network[];

  constructor({ cluster, namespaces, attached }: ClusterRoutesOptions) {
    this.domain = readName(cluster?.domain ?? '') ?? DEFAULT_DOMAIN;
    this.#ownNamespaces = namespaces;
    const ofCluster = cluster === undefined ? [] : [...NAMESPACES_OF_ALL, ...unmistakable(cluster.namespace)];
    this.namespaces = [...new Set([...namespaces, ...ofCluster])];
    this.networks = cluster === undefined ? [] : networksOf(cluster);
    this.attached = attached.flatMap(network);
  }

  /** Whether anything is known by which to tell the cluster from the rest. */
  static tells(cluster: KnownCluster): boolean {
    return (
      readName(cluster.domain ?? '') !== undefined ||
      cluster.allowed.flatMap(network).some(each => isNarrow(each) && !isLocal(each.base))
    );
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

  /** The cluster's network that an address is in, unless this machine is in a narrower one. */
  #networkOf(address: IpAddress): string | undefined {
    const cluster = narrowest(this.networks, address);
    if (cluster === undefined) return undefined;
    const attached = narrowest(this.attached, address);
    return attached !== undefined && attached.prefix > cluster.prefix ? undefined : formatNetwork(cluster);
  }
}

export function isLocal(address: IpAddress): boolean {
  return LOCAL.some(network => contains(network, address));
}

function narrowest(networks: readonly Network[], address: IpAddress): Network | undefined {
  let best: Network | undefined;
  for (const network of networks) {
    if (contains(network, address) && (best === undefined || network.prefix > best.prefix)) best = network;
  }
  return best;
}

/** Top-level domains are letters alone: with a namespace `dev`, `web.dev` may be a Service, and is a public site. */
function unmistakable(namespace: string | undefined): string[] {
  return namespace !== undefined && readName(namespace) === namespace && /[\d-]/.test(namespace) ? [namespace] : [];
}

/** What a server sends may be anything; what makes no sense is left out. */
function networksOf({ allowed, nameservers }: KnownCluster): Network[] {
  const networks = allowed.flatMap(network).filter(isNarrow);
  const servers = nameservers.flatMap(addressOf).flatMap(network);
  const others = servers.filter(({ base }) => !networks.some(each => contains(each, base)));
  return [...networks, ...others].filter(({ base }) => !isLocal(base));
}

function network(cidr: string): Network[] {
  const read = readNetwork(cidr)?.network;
  return read === undefined ? [] : [read];
}

function isNarrow({ base, prefix }: Network): boolean {
  return prefix >= WIDEST[base.family];
}

function addressOf(server: string): string[] {
  try {
    return [parseHost(server).host];
  } catch (error) {
    if (error instanceof PodsocksError) return [];
    throw error;
  }
}
