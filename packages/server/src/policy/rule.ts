import type { IpAddress } from '@podsocks/shared/matching/ip-address';
import { type NamePattern, NameSet } from '@podsocks/shared/matching/name-pattern';
import type { Network } from '@podsocks/shared/matching/network';
import { NetworkSet } from '@podsocks/shared/matching/network-set';
import { hasPort, type PortRange, spellsPort } from '@podsocks/shared/matching/port-ranges';
import type { Guard } from './built-in.ts';
import type { Verdict } from './verdict.ts';

export type Protocol = 'tcp' | 'udp';

/**
 * One rule. Whatever it has must hold; of a list one item is enough, and of a list without items none ever is. What it does
 * not have may be anything.
 */
export interface PolicyRule {
  readonly action: 'allow' | 'deny';
  /** One of these, or a member of one of `groups`. */
  readonly users?: readonly string[];
  readonly groups?: readonly string[];
  /** An address in one of these networks, or one that was resolved from a name that fits. */
  readonly to?: readonly (Network | NamePattern)[];
  /** And, whatever `to` says, an address in one of these: for names whose addresses others decide. */
  readonly within?: readonly Network[];
  readonly ports?: readonly PortRange[];
  readonly protocols?: readonly Protocol[];
  /** Where it is written, for explanations: `config.json: policy[3]`, `--allow`. */
  readonly from: string;
}

/** What a rule is asked about. */
export interface Packet {
  readonly protocol: Protocol;
  /** As {@link readName} spells it. */
  readonly name: string | undefined;
  readonly address: IpAddress;
  readonly port: number;
}

/** What of a rule does not hold. */
export type Mismatch = 'user' | 'protocol' | 'port' | 'within' | 'to' | 'built in';

/** Whether a rule can apply to a name whose address is not known yet. */
export type Foresight = 'certainly' | 'perhaps' | 'never';

/** A rule in the form that is quick to ask. */
export class CompiledRule {
  readonly rule: PolicyRule;
  /** Where it applies. */
  readonly verdict: Verdict;
  readonly #protocol: Protocol | undefined;
  readonly #never: boolean;
  readonly #ports: readonly PortRange[] | undefined;
  readonly #anywhere: boolean;
  readonly #networks: NetworkSet | undefined;
  readonly #names: NameSet | undefined;
  readonly #within: NetworkSet | undefined;

  constructor(rule: PolicyRule) {
    const { action, protocols, ports, to, within } = rule;
    const networks = to?.filter(item => item.kind === 'network');
    const names = to?.filter(item => item.kind !== 'network');
    this.rule = rule;
    this.verdict = Object.freeze({ allowed: action === 'allow', rule: rule.from });
    this.#never = protocols?.length === 0 || within?.length === 0;
    this.#protocol = new Set(protocols).size === 1 ? protocols![0] : undefined;
    this.#ports = ports;
    this.#anywhere = to === undefined;
    this.#networks = networks?.length ? new NetworkSet(networks) : undefined;
    this.#names = names?.length ? new NameSet(names) : undefined;
    this.#within = within && new NetworkSet(within);
  }

  get hasNames(): boolean {
    return this.#names !== undefined;
  }

  /** Whom it is about: all, or these. */
  concerns(user: string, groups: readonly string[]): boolean {
    const { users, groups: members } = this.rule;
    if (users === undefined && members === undefined) return true;
    return (users?.includes(user) || members?.some(group => groups.includes(group))) ?? false;
  }

  /**
   * What does not hold, but for the user; undefined where the rule applies.
   *
   * @param guard what is denied about the address without any rule: see {@link Guard}.
   */
  mismatch({ protocol, name, address, port }: Packet, guard: Guard | undefined): Mismatch | undefined {
    if (this.#misfits(protocol)) return 'protocol';
    if (this.#ports !== undefined && !hasPort(this.#ports, port)) return 'port';
    if (this.#within !== undefined && !this.#within.has(address)) return 'within';
    const applies =
      this.#anywhere ||
      (this.#networks?.has(address) ?? false) ||
      (name !== undefined && (this.#names?.has(name) ?? false));
    if (!applies) return 'to';
    return guard !== undefined && this.verdict.allowed && !this.#lifts(guard, address, port) ? 'built in' : undefined;
  }

  /** As {@link mismatch}, before the name was resolved. */
  foresee(protocol: Protocol, name: string, port: number): Foresight {
    if (this.#misfits(protocol) || (this.#ports !== undefined && !hasPort(this.#ports, port))) return 'never';
    const byName = this.#anywhere || (this.#names?.has(name) ?? false);
    if (!byName && this.#networks === undefined) return 'never';
    return byName && this.#within === undefined ? 'certainly' : 'perhaps';
  }

  /** As {@link foresee}, of all ports and protocols together. */
  foreseeAnyPort(name: string): Foresight {
    if (this.#never || this.#ports?.length === 0) return 'never';
    const byName = this.#anywhere || (this.#names?.has(name) ?? false);
    if (!byName && this.#networks === undefined) return 'never';
    const isForAll = this.#within === undefined && this.#ports === undefined && this.#protocol === undefined;
    return byName && isForAll ? 'certainly' : 'perhaps';
  }

  #misfits(protocol: Protocol): boolean {
    return this.#never || (this.#protocol !== undefined && this.#protocol !== protocol);
  }

  /** Whether it says that it means even this: with a network within the denied one, and the port where that is needed. */
  #lifts({ leastPrefix, needsPort }: Guard, address: IpAddress, port: number): boolean {
    if (needsPort && (this.#ports === undefined || !spellsPort(this.#ports, port))) return false;
    return this.#networks?.hasNarrow(address, leastPrefix) ?? false;
  }
}
