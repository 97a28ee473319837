import { formatNetwork, type Network } from '@podsocks/shared/matching/network';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import type { FileLayer } from '@podsocks/shared/settings/config-file';
import type { Layer, Sourced } from '@podsocks/shared/settings/settings';
import { readAclFile } from './acl.ts';
import type { POLICY_SETTINGS, policyFields } from './fields.ts';
import type { PolicyOptions } from './policy.ts';
import type { PolicyRule } from './rule.ts';

/** What flags, environment and file say, by the keys of settings. */
export type PolicySources = { readonly [K in keyof Given]?: Given[K] | undefined };

type Given = Layer<typeof POLICY_SETTINGS> & Pick<FileLayer<typeof policyFields>, 'policy'>;

/** Who is there, to find slips in names: a rule for nobody denies nobody. */
export interface KnownUsers {
  readonly users: readonly { readonly name: string; readonly groups?: readonly string[] }[];
  /** Takes the complaint of a rule for nobody, where users come and go; else it is an error. */
  readonly warn?: ((message: string) => void) | undefined;
}

/**
 * All rules in their order, and the default:
 *
 * 1. the access control list, which is a list of what is blocked, whatever else is said;
 * 2. `--allow` and `--deny`, the narrowest network first, and of two alike the denial: the order in which flags of different
 *    names were given is not known;
 * 3. the rules of the configuration file, in its order.
 *
 * Where no default is given, it is to deny as soon as any rule allows something, else to allow.
 *
 * @throws PodsocksError ERR_CONFIG: the access control list, or a rule for a user or group that is not there.
 */
export function policyFrom(sources: PolicySources, known: KnownUsers): Pick<PolicyOptions, 'rules' | 'default'> {
  const { acl, allow, deny, policy, policyDefault } = sources;
  const blocked = acl && readAclFile(acl);
  const rules = [...(blocked ? [blocked] : []), ...shortForm(allow, deny), ...(policy ? fileRules(policy, known) : [])];
  const implied = allow !== undefined || rules.some(({ action }) => action === 'allow') ? 'deny' : 'allow';
  return { rules, default: policyDefault?.value ?? implied };
}

function shortForm(allow: PolicySources['allow'], deny: PolicySources['deny']): PolicyRule[] {
  const rulesOf = (given: Sourced<readonly Network[]> | undefined, action: PolicyRule['action']) =>
    (given?.value ?? []).map(network => ({ action, to: [network], from: `${given!.from} ${formatNetwork(network)}` }));
  // Sorting keeps the order of equals; networks of different families never hold the same address.
  return [...rulesOf(deny, 'deny'), ...rulesOf(allow, 'allow')].sort((x, y) => y.to[0]!.prefix - x.to[0]!.prefix);
}

function fileRules({ value, from }: NonNullable<PolicySources['policy']>, { users, warn }: KnownUsers): PolicyRule[] {
  const names = new Set(users.map(({ name }) => name));
  const groups = new Set(users.flatMap(user => user.groups ?? []));
  return value.map((rule, i) => {
    const place = `${from}[${i}]`;
    requireKnown(rule.users, names, `${place}.users`, 'user', warn);
    requireKnown(rule.groups, groups, `${place}.groups`, 'group', warn);
    return {
      action: rule.action,
      ...(rule.users && { users: rule.users }),
      ...(rule.groups && { groups: rule.groups }),
      ...(rule.to && { to: rule.to }),
      ...(rule.within && { within: rule.within }),
      ...(rule.ports && { ports: rule.ports.flat() }),
      ...(rule.protocol && { protocols: rule.protocol }),
      from: place,
    };
  });
}

function requireKnown(
  wanted: readonly string[] | undefined,
  known: ReadonlySet<string>,
  place: string,
  what: string,
  warn: KnownUsers['warn'],
): void {
  const stranger = wanted?.find(name => !known.has(name));
  if (stranger === undefined) return;
  const choice = known.size === 0 ? `there is no ${what}` : `known are ${[...known].slice(0, 20).join(', ')}`;
  const complaint = `${place}: no ${what} is called ${JSON.stringify(stranger)}; ${choice}`;
  if (warn === undefined) throw new PodsocksError('ERR_CONFIG', complaint);
  warn(`${complaint}; the rule waits for one`);
}
