import { formatNetwork } from '@podsocks/shared/matching/network';
import type { Target } from '@podsocks/shared/wire/address';
import type { RouteStatus } from '../status/client-status.ts';
import { type AskedHost, readHost } from './asked-host.ts';
import { ClusterRoutes, type KnownCluster } from './cluster-routes.ts';
import { type ProxyAddress, pacOf } from './pac.ts';
import { CompiledRule, type Otherwise, type RouteRule, type Way } from './route-rule.ts';

export type { KnownCluster } from './cluster-routes.ts';
export type { Way } from './route-rule.ts';

export const ROUTE_MODES = ['auto', 'all', 'rules'] as const;
export type RouteMode = (typeof ROUTE_MODES)[number];

export interface RouteSettings {
  /** Without it: `auto` as soon as the server has said what its cluster is, and before that, and with others, `all` but the rules. */
  readonly mode?: RouteMode;
  /** The first that applies decides; in `all` none does. */
  readonly rules: readonly RouteRule[];
  /** Of what no rule speaks of, in `rules`. */
  readonly default: Way;
  /** The first one is where names without dots belong. */
  readonly namespaces: readonly string[];
}

export interface Decision {
  readonly way: Way;
  /** As it is to be asked for: a name without dots is completed by the namespace. */
  readonly target: Target;
  /** What decided, for the log: `--direct 192.168.0.0/16`, `auto: *.cluster.local`. */
  readonly because: string;
}

/** As many as a busy machine talks to in a while; 1 MB at the most, where all names are as long as can be. */
const REMEMBERED = 1024;

/** Decides which way each target goes. It looks nothing up, and knows of the cluster what it is told. */
export class Router {
  readonly #settings: RouteSettings;
  readonly #rules: readonly CompiledRule[];
  #attached: readonly string[];
  #learnt: KnownCluster | undefined;
  /** Whether a server has shown what it is. */
  #isInformed = false;
  #cluster: ClusterRoutes;
  /** By host: each datagram asks. */
  readonly #decisions = new Map<string, Decision>();

  /** @param attached the networks that this machine is in, as CIDRs of its own addresses (`192.168.1.20/24`). */
  constructor(settings: RouteSettings, attached: readonly string[] = []) {
    this.#settings = settings;
    this.#rules = settings.mode === 'all' ? [] : settings.rules.map(rule => new CompiledRule(rule));
    this.#attached = attached;
    this.#cluster = this.#routesOf();
  }

  decide(target: Target): Decision {
    const { host, port, type } = target;
    const known = this.#decisions.get(host);
    if (known !== undefined && known.target.port === port && known.target.type === type) return known;
    const decision = this.#find(target);
    if (this.#decisions.size === REMEMBERED) this.#decisions.clear(); // as good as dropping the oldest, and less to do
    this.#decisions.set(host, decision);
    return decision;
  }

  /**
   * For a port that stands for a target beyond the server, which is never taken directly: a mapped name, looked up here, leads to
   * its own port.
   */
  decideForward(target: Target): Decision {
    const decision = this.decide(target);
    return decision.way === 'direct' ? { way: 'tunnel', target, because: FORWARDED } : decision;
  }

  /** Whether a rule rejects an address, to which a name may have led that goes directly. */
  isRejected(address: string, port: number): boolean {
    return this.#ruleFor(readHost(address), port)?.way === 'reject';
  }

  /**
   * Takes what a server has shown of itself. `unknown` says nothing, and changes nothing.
   *
   * @param cluster none of a plain server.
   * @returns whether other decisions may come of it.
   */
  learn(cluster: KnownCluster | undefined, kind: 'podsocks' | 'plain' | 'unknown'): boolean {
    if (kind === 'unknown') return false;
    const isFirst = !this.#isInformed;
    this.#isInformed = true;
    const learnt = cluster !== undefined && ClusterRoutes.tells(cluster) ? cluster : undefined;
    if (!isFirst && JSON.stringify(learnt) === JSON.stringify(this.#learnt)) return false;
    this.#learnt = learnt;
    this.#renew();
    return true;
  }

  /** Whether decisions depend on what a server has to say, and none has said anything yet. */
  get awaitsServer(): boolean {
    const { mode } = this.#settings;
    return !this.#isInformed && (mode === undefined || mode === 'auto');
  }

  /** Takes the networks that this machine is in now, as the constructor does. */
  attach(attached: readonly string[]): void {
    if (attached.length === this.#attached.length && attached.every((cidr, i) => cidr === this.#attached[i])) return;
    this.#attached = attached;
    this.#renew();
  }

  get inForce(): RouteStatus {
    const otherwise = this.#otherwise;
    const [namespace] = this.#settings.namespaces;
    const { domain, namespaces, networks } = this.#cluster;
    const ofCluster = otherwise === 'cluster';
    return {
      mode: ofCluster ? 'auto' : this.#settings.mode === 'rules' || this.#rules.length > 0 ? 'rules' : 'all',
      ...(namespace !== undefined && { namespace }),
      domains: ofCluster ? [domain, 'svc', ...namespaces] : [],
      networks: ofCluster ? networks.map(formatNetwork) : [],
    };
  }

  /** The cluster's, whatever the mode: CIDRs. */
  get clusterNetworks(): readonly string[] {
    return this.#cluster.networks.map(formatNetwork);
  }

  /** The cluster's, whatever the mode: the one that the server has told, where it can be one. */
  get clusterDomain(): string {
    return this.#cluster.domain;
  }

  /** A proxy auto-configuration file that sends to this proxy what does not go directly. */
  pac(proxy: ProxyAddress): string {
    return pacOf(
      { rules: this.#rules.map(({ rule }) => rule), otherwise: this.#otherwise, cluster: this.#cluster },
      proxy,
    );
  }

  get #otherwise(): Otherwise {
    const { mode, default: byDefault } = this.#settings;
    if (mode === 'rules') return byDefault;
    return mode === 'auto' || (mode === undefined && this.#learnt !== undefined) ? 'cluster' : 'tunnel';
  }

  #find(target: Target): Decision {
    const asked = readHost(target.host);
    const completed = this.#cluster.complete(asked);
    const rule =
      this.#ruleFor(asked, target.port) ??
      (completed === undefined ? undefined : this.#ruleFor({ name: completed }, target.port));
    const { way, because } = rule ? { way: rule.way, because: rule.from } : this.#withoutRule(asked, completed);
    if (completed === undefined || way === 'direct') return { way, target, because };
    return { way, target: { type: 'name', host: completed, port: target.port }, because };
  }

  #withoutRule(asked: AskedHost, completed: string | undefined): Omit<Decision, 'target'> {
    const otherwise = this.#otherwise;
    if (otherwise !== 'cluster') return { way: otherwise, because: this.#settings.mode === 'rules' ? DEFAULT : ALL };
    const reason = completed === undefined ? this.#cluster.reasonFor(asked) : `*${this.#cluster.suffix}`;
    return reason === undefined ? NOT_OF_CLUSTER : { way: 'tunnel', because: `auto: ${reason}` };
  }

  #ruleFor(asked: Pick<AskedHost, 'name' | 'address'>, port: number): RouteRule | undefined {
    for (const compiled of this.#rules) if (compiled.applies(asked, port)) return compiled.rule;
    return undefined;
  }

  #renew(): void {
    this.#cluster = this.#routesOf();
    this.#decisions.clear();
  }

  #routesOf(): ClusterRoutes {
    return new ClusterRoutes({
      cluster: this.#learnt,
      namespaces: this.#settings.namespaces,
      attached: this.#attached,
      presumes: !this.#isInformed,
    });
  }
}

const ALL = 'all';
const DEFAULT = 'no rule applies';
const FORWARDED = 'it is forwarded';
const NOT_OF_CLUSTER: Omit<Decision, 'target'> = { way: 'direct', because: 'auto: not of the cluster' };
