import { type NamePattern, parseNamePattern } from '@podsocks/shared/matching/name-pattern';
import { type Network, parseNetwork } from '@podsocks/shared/matching/network';
import { parsePorts } from '@podsocks/shared/matching/port-ranges';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { type Fields, records, text, texts } from '@podsocks/shared/settings/fields';
import { type Settings, several, single } from '@podsocks/shared/settings/settings';
import { asText, oneOf } from '@podsocks/shared/settings/values';

const ACTIONS = ['allow', 'deny'] as const;
const PROTOCOLS = ['tcp', 'udp'] as const;

/** The flags of the policy, and their variables. */
export const POLICY_SETTINGS = {
  allow: several(
    { flags: '--allow <network>', env: 'SS_ALLOW' },
    'let users go to this network; may be repeated. What no rule allows is denied then',
    parseNetwork,
  ),
  deny: several(
    { flags: '--deny <network>', env: 'SS_DENY' },
    'keep users from this network; may be repeated. Of --allow and --deny the narrowest network decides',
    parseNetwork,
  ),
  policyDefault: single(
    { flags: '--policy-default <action>', env: 'SS_POLICY_DEFAULT' },
    `what holds where no rule applies: ${ACTIONS.join(', ')} (default: deny if any rule allows, else allow)`,
    oneOf(ACTIONS),
  ),
  acl: single(
    { flags: '--acl <file>', env: 'SS_ACL' },
    'access control list of shadowsocks-libev: keep users from its [outbound_block_list]',
    asText,
  ),
} satisfies Settings;

const NOT_EMPTY = 'is empty; list something, or leave it out to mean all';

/** A list that says something: an empty one would be a rule that never applies. */
const list = <T>(parse: (text: string) => T) => texts(parse).refine(items => items.length > 0, NOT_EMPTY);

/**
 * The fields of the configuration file:
 *
 *   "policy_default": "deny",
 *   "policy": [
 *     { "action": "allow", "users": ["ada"], "groups": ["ops"], "to": ["10.96.0.0/12", "*.svc.cluster.local"],
 *       "ports": "443, 8000-8999", "protocol": "tcp" }
 *   ]
 *
 * The list has to stay what `records` makes, because config-file.ts looks for unknown fields in those.
 */
export const policyFields = {
  allow: list(parseNetwork),
  deny: list(parseNetwork),
  acl: text(asText),
  policy_default: text(oneOf(ACTIONS)),
  policy: records({
    action: text(oneOf(ACTIONS)),
    users: list(parseMember).optional(),
    groups: list(parseMember).optional(),
    to: list(parsePlace).optional(),
    within: list(parseNetwork).optional(),
    ports: list(parsePorts).optional(),
    protocol: list(oneOf(PROTOCOLS)).optional(),
  }),
} satisfies Fields;

/** A name of a user or group. */
export function parseMember(name: string): string {
  if (name.trim() !== '' && !/\p{Cc}/u.test(name)) return name;
  throw new PodsocksError('ERR_CONFIG', 'is empty or has control characters in it; give a plain name');
}

/** What has a slash or a colon, or consists of digits and dots, was meant as a network. */
function parsePlace(place: string): Network | NamePattern {
  return /[/:]|^[\d.]+$/.test(place) ? parseNetwork(place) : parseNamePattern(place);
}
