import { type NamePattern, NameSet } from '@podsocks/shared/matching/name-pattern';
import type { Network } from '@podsocks/shared/matching/network';
import { NetworkSet } from '@podsocks/shared/matching/network-set';
import { hasPort, type PortRange } from '@podsocks/shared/matching/port-ranges';
import type { AskedHost } from './asked-host.ts';

/** Where a target is sent. */
export const WAYS = ['tunnel', 'direct', 'reject'] as const;
export type Way = (typeof WAYS)[number];

/** What there is where no rule applies: one way for all, or by whether it is the cluster's. */
export type Otherwise = Way | 'cluster';

/** A network, or a pattern of names; for anything, a rule has none. */
export type RoutePlace = Network | Exclude<NamePattern, { readonly kind: 'any' }>;

/** One rule. Whatever it has must hold; what it does not have may be anything. */
export interface RouteRule {
  readonly way: Way;
  /** An address in one of these networks, or a name that fits one of these patterns. */
  readonly to?: readonly RoutePlace[];
  readonly ports?: readonly PortRange[];
  /** Where it is written and what it says, for the log: `--tunnel 10.0.0.0/8`. */
  readonly from: string;
}

/** A rule in the form that is quick to ask. */
export class CompiledRule {
  readonly rule: RouteRule;
  readonly #networks: NetworkSet | undefined;
  readonly #names: NameSet | undefined;

  constructor(rule: RouteRule) {
    const networks = rule.to?.filter(item => item.kind === 'network');
    const names = rule.to?.filter(item => item.kind !== 'network');
    this.rule = rule;
    this.#networks = networks?.length ? new NetworkSet(networks) : undefined;
    this.#names = names?.length ? new NameSet(names) : undefined;
  }

  applies({ name, address }: Pick<AskedHost, 'name' | 'address'>, port: number): boolean {
    const { to, ports } = this.rule;
    if (ports !== undefined && !hasPort(ports, port)) return false;
    if (to === undefined) return true;
    if (address !== undefined) return this.#networks?.has(address) ?? false;
    return name !== undefined && (this.#names?.has(name) ?? false);
  }
}
