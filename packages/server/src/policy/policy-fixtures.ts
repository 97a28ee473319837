import { parseNamePattern } from '@podsocks/shared/matching/name-pattern';
import { parseNetwork } from '@podsocks/shared/matching/network';
import { parsePorts } from '@podsocks/shared/matching/port-ranges';
import { type ListenerAddress, OwnListeners } from './own-listeners.ts';
import { type Action, type Destination, Policy, type PolicyOptions } from './policy.ts';
import type { PolicyRule, Protocol } from './rule.ts';

/** A rule as tests write it. */
export interface RuleText {
  readonly action: Action;
  readonly to?: readonly string[];
  readonly within?: readonly string[];
  readonly ports?: string;
  readonly protocols?: readonly Protocol[];
  readonly users?: readonly string[];
  readonly groups?: readonly string[];
}

export function rule({ action, to, within, ports, protocols, users, groups }: RuleText, from = 'rule'): PolicyRule {
  return {
    action,
    ...(to && { to: to.map(text => (/[:/]|^[\d.]+$/.test(text) ? parseNetwork(text) : parseNamePattern(text))) }),
    ...(within && { within: within.map(parseNetwork) }),
    ...(ports && { ports: parsePorts(ports) }),
    ...(protocols && { protocols }),
    ...(users && { users }),
    ...(groups && { groups }),
    from,
  };
}

export const allow = (...to: string[]): RuleText => ({ action: 'allow', to });
export const deny = (...to: string[]): RuleText => ({ action: 'deny', to });

export interface PolicyText {
  readonly rules?: readonly RuleText[];
  readonly default?: Action;
  readonly users?: PolicyOptions['users'];
  readonly listeners?: readonly ListenerAddress[];
  readonly machine?: readonly string[];
}

/** Its rules are called `rule 0`, `rule 1`, … */
export function policy({ rules = [], default: action = 'deny', users = [], listeners = [], machine = [] }: PolicyText) {
  const own = new OwnListeners(
    () => machine,
    () => 0,
  );
  own.set(listeners);
  return new Policy({ rules: rules.map((text, i) => rule(text, `rule ${i}`)), default: action, users, own });
}

/** Ada goes to port 443 over TCP. */
export function to(address: string, others: Partial<Destination> = {}): Destination {
  return { user: 'ada', protocol: 'tcp', name: undefined, port: 443, address, ...others };
}
