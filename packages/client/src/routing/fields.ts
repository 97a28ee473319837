import { readName } from '@podsocks/shared/matching/name-pattern';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import type { FileLayer } from '@podsocks/shared/settings/config-file';
import { type Fields, records, text, texts } from '@podsocks/shared/settings/fields';
import {
  type Layer,
  type Settings,
  type Sourced,
  several,
  single,
  type Warn,
} from '@podsocks/shared/settings/settings';
import { asText, oneOf } from '@podsocks/shared/settings/values';
import { type RouteAcl, readRouteAcl } from './route-acl.ts';
import { comparePatterns, parseRoutePattern, type RoutePattern } from './route-pattern.ts';
import { type RouteRule, WAYS, type Way } from './route-rule.ts';
import { ROUTE_MODES, type RouteSettings } from './router.ts';

/** The flags of the routes, and their variables. */
export const ROUTE_SETTINGS = {
  route: single(
    { flags: '--route <mode>', env: 'SS_ROUTE' },
    "auto: what is the cluster's through the tunnel, all else directly; all: everything through the tunnel; rules: as the " +
      'rules say (default: auto, if the server tells what its cluster is, else all)',
    oneOf(ROUTE_MODES),
  ),
  tunnel: several(
    { flags: '--tunnel <target>', env: 'SS_TUNNEL' },
    'send this through the tunnel: network, name, *.name, each with :port or :from-to or not; may be repeated',
    parseRoutePattern,
  ),
  direct: several(
    { flags: '--direct <target>', env: 'SS_DIRECT' },
    'send this directly; of --tunnel and --direct the narrowest decides; may be repeated',
    parseRoutePattern,
  ),
  reject: several(
    { flags: '--reject <target>', env: 'SS_REJECT' },
    'refuse this, whatever --tunnel and --direct say; may be repeated',
    parseRoutePattern,
  ),
  routeDefault: single(
    { flags: '--route-default <way>', env: 'SS_ROUTE_DEFAULT' },
    `where no rule applies: ${WAYS.join(', ')} (default: tunnel); includes --route rules`,
    oneOf(WAYS),
  ),
  acl: single(
    { flags: '--acl <file>', env: 'SS_ACL' },
    'access control list of shadowsocks-libev; includes --route rules',
    asText,
  ),
  namespace: several(
    { flags: '--namespace <name>', env: 'SS_NAMESPACE' },
    'namespace in which names without dots are; may be repeated, for name.namespace',
    parseNamespace,
  ),
} satisfies Settings;

/**
 * The fields of the configuration file:
 *
 *   "route": "rules", "route_default": "direct",
 *   "routes": [
 *     { "way": "reject", "to": ":25" },
 *     { "way": "tunnel", "to": ["10.0.0.0/8", "*.corp.example:443"] }
 *   ]
 *
 * The list has to stay what `records` makes, because config-file.ts looks for unknown fields in those.
 */
export const routeFields = {
  route: text(oneOf(ROUTE_MODES)),
  routes: records({
    way: text(oneOf(WAYS)),
    to: texts(parseRoutePattern).refine(to => to.length > 0, 'is empty; list a target, or "*" for anything'),
  }),
  route_default: text(oneOf(WAYS)),
  acl: text(asText),
  namespace: texts(parseNamespace),
} satisfies Fields;

type Given = Layer<typeof ROUTE_SETTINGS> & Pick<FileLayer<typeof routeFields>, 'routes'>;

/** What flags, environment and file say, by the keys of settings. */
export type RouteGiven = { readonly [K in keyof Given]?: Given[K] | undefined };

/**
 * All rules in their order, and what holds where none applies:
 *
 * 1. what the access control list blocks;
 * 2. `--reject`; and of `--tunnel` and `--direct` the narrowest, of two alike `--direct`: the order in which flags of different
 *    names were given is not known;
 * 3. `routes` of the configuration file, in its order;
 * 4. the other lists of the access control list.
 *
 * @throws PodsocksError ERR_CONFIG: the access control list.
 */
export function routeOf(given: RouteGiven, warn: Warn): RouteSettings {
  const { route, routeDefault, acl, namespace } = given;
  const list: RouteAcl = acl === undefined ? { blocked: [], lists: [] } : readRouteAcl(acl);
  const mode = route?.value ?? (routeDefault || acl ? 'rules' : undefined);
  warnOfIdle(given, warn);
  return {
    ...(mode && { mode }),
    rules: [...list.blocked, ...rulesOfFlags(given), ...rulesOfFile(given.routes), ...list.lists],
    default: routeDefault?.value ?? list.default ?? 'tunnel',
    namespaces: [...new Set(namespace?.value ?? [])],
  };
}

function warnOfIdle({ route, tunnel, direct, reject, routes, routeDefault, acl }: RouteGiven, warn: Warn): void {
  if (route === undefined || route.value === 'rules') return;
  const idle = route.value === 'all' ? [tunnel, direct, reject, routes, acl, routeDefault] : [routeDefault];
  for (const each of idle) {
    if (each) warn(`${each.from}: has no effect, because ${route.from} says ${route.value}; leave one of them out`);
  }
}

function rulesOfFlags({ tunnel, direct, reject }: RouteGiven): RouteRule[] {
  // Sorting keeps the order of equals.
  const chosen = [...ruled(direct, 'direct'), ...ruled(tunnel, 'tunnel')];
  chosen.sort((one, other) => comparePatterns(one.pattern, other.pattern));
  return [...ruled(reject, 'reject'), ...chosen].map(({ rule }) => rule);
}

function rulesOfFile(routes: RouteGiven['routes']): RouteRule[] {
  return (routes?.value ?? []).flatMap(({ way, to }, i) =>
    to.map(pattern => ruleOf(pattern, way, `${routes!.from}[${i}]:`)),
  );
}

function ruled(given: Sourced<readonly RoutePattern[]> | undefined, way: Way) {
  return (given?.value ?? []).map(pattern => ({ pattern, rule: ruleOf(pattern, way, given!.from) }));
}

function ruleOf({ text, to, ports }: RoutePattern, way: Way, from: string): RouteRule {
  return { way, ...(to && { to }), ...(ports && { ports }), from: `${from} ${text}` };
}

/** What `--check` prints of it. */
export function describeRoutes({ mode, rules, default: byDefault, namespaces }: RouteSettings): [string, string][] {
  const modes = {
    auto: "what is the cluster's through the tunnel, all else directly",
    all: 'everything through the tunnel',
    rules: `by rules; where none applies, ${byDefault}`,
  };
  const unset = `${modes.auto}, if the server tells what its cluster is; else ${modes.all}`;
  const count = mode === 'all' ? 0 : rules.length;
  return [
    ['route', mode === undefined ? unset : modes[mode]],
    ...(count > 0 ? ([['route rules', `${count}`]] as [string, string][]) : []),
    ...(namespaces.length > 0 ? ([['namespaces', namespaces.join(', ')]] as [string, string][]) : []),
  ];
}

/** Of Kubernetes: a label of DNS in lower case (RFC 1123). */
function parseNamespace(name: string): string {
  if (/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(name) && readName(`a.${name}`) !== undefined) return name;
  throw new PodsocksError(
    'ERR_CONFIG',
    `${JSON.stringify(name.slice(0, 60))} is no namespace; give a name as kubectl get namespaces prints it`,
  );
}
