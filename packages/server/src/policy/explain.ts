import { formatNetwork } from '@podsocks/shared/matching/network';
import { formatTarget } from '@podsocks/shared/wire/address';
import type { NamedDestination, Policy, Step } from './policy.ts';
import type { Mismatch, PolicyRule } from './rule.ts';
import type { Verdict } from './verdict.ts';

/** What `ss-server policy test` is asked. */
export interface Question extends NamedDestination {
  /** What the name was resolved to, in order, or the address that was asked for; empty where there is none. */
  readonly addresses: readonly string[];
}

const REASONS: Record<Mismatch, string> = {
  user: 'is for other users',
  protocol: 'is for the other protocol',
  port: 'is for other ports',
  to: 'is for other networks and names',
  within: 'is for other networks (within)',
  'built in': 'would have to name a network within the one that is denied; of the server itself, its address and port',
};

/**
 * The verdict on each address, what decided it, and why the rules before did not apply; lines of text.
 *
 *   ada → db.example.com:5432 (tcp)
 *   192.0.2.7: allowed by config.json: policy[1]
 *     passed over: config.json: policy[0] (deny to 10.0.0.0/8), is for other networks and names
 *
 * @returns the text, and whether any address may be gone to.
 */
export function explain(policy: Policy, question: Question): { readonly text: string; readonly allowed: boolean } {
  const { user, protocol, name, port, addresses } = question;
  const target = formatTarget({ host: name ?? addresses[0] ?? '', port });
  const lines = [`${user} → ${target} (${protocol})`];
  const early = policy.evaluateAsked(question);
  if (early !== undefined) {
    lines.push(`${said(early)}, before the name is looked up`);
    return { text: `${lines.join('\n')}\n`, allowed: false };
  }
  if (addresses.length === 0) lines.push('no address was found; the verdict would depend on it');
  let allowed = false;
  for (const address of addresses) {
    const { verdict, steps } = policy.trace({ user, protocol, name, port, address });
    allowed ||= verdict.allowed;
    lines.push(`${address}: ${said(verdict)}`, ...steps.flatMap(passedOver));
  }
  return { text: `${lines.join('\n')}\n`, allowed };
}

function said({ allowed, rule }: Verdict): string {
  const verb = allowed ? 'allowed' : 'denied';
  if (rule === 'default') return `${verb} by default, no rule applies`;
  if (rule.startsWith('built in: ')) return `${verb}, ${rule}`;
  return `${verb} by ${rule}`;
}

function passedOver({ rule, mismatch }: Step): string[] {
  if (mismatch === undefined) return [];
  return [`  passed over: ${rule.from} (${summary(rule)}), ${REASONS[mismatch]}`];
}

/** Long lists, as of an access control list, are cut. */
const MOST_ITEMS = 3;

function summary({ action, to }: PolicyRule): string {
  if (to === undefined) return `${action} to anywhere`;
  const items = to.slice(0, MOST_ITEMS).map(item => {
    if (item.kind === 'network') return formatNetwork(item);
    if (item.kind === 'expression') return `/${item.expression.source}/`;
    return item.kind === 'any' ? '*' : item.kind === 'below' ? `*.${item.name}` : item.name;
  });
  const more = to.length > MOST_ITEMS ? ` and ${to.length - MOST_ITEMS} more` : '';
  return `${action} to ${items.join(', ')}${more}`;
}
