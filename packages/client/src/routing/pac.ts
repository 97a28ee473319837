import type { Network } from '@podsocks/shared/matching/network';
import { formatTarget } from '@podsocks/shared/wire/address';
import { INFORMATION_HOST } from '@podsocks/shared/wire/information';
import type { ClusterRoutes } from './cluster-routes.ts';
import { PAC_PROGRAM } from './pac-program.ts';
import type { Otherwise, RoutePlace, RouteRule } from './route-rule.ts';

/** Where ss-local listens. */
export interface ProxyAddress {
  readonly host: string;
  readonly port: number;
}

export interface PacOptions {
  readonly rules: readonly RouteRule[];
  readonly otherwise: Otherwise;
  readonly cluster: ClusterRoutes;
}

/**
 * A proxy auto-configuration file. What is rejected goes to the proxy, too, which says so; sent to nowhere, it would be a
 * puzzle.
 *
 * It says what Router.decide says, but that where everything goes through the tunnel without a rule, what runs on the browser's own
 * machine does not.
 */
export function pacOf({ rules, otherwise, cluster }: PacOptions, proxy: ProxyAddress): string {
  const routes: PacRoutes = {
    otherwise,
    suffix: cluster.suffix,
    rules: rules.map(rule => ({
      direct: rule.way === 'direct',
      ...(rule.to && { to: placesOf(rule.to) }),
      ...(rule.ports && { ports: rule.ports.flatMap(({ first, last }) => [first, last]) }),
    })),
    cluster: {
      names: keys([INFORMATION_HOST.host, cluster.domain]),
      ends: keys([cluster.domain, 'svc']),
      namespaces: keys(cluster.namespaces),
      networks: numbersOf(cluster.tunnelled),
      attached: numbersOf(cluster.attached),
    },
  };
  return `var PROXY = ${literal(wordOf(proxy))};\nvar ROUTES = ${literal(routes)};\n${PAC_PROGRAM}`;
}

/**
 * As an HTTP proxy first: that is the one kind that every engine knows (WinHTTP knows no other), that is sent names and not
 * addresses by all of them (Firefox before 128 looks names up itself for SOCKS), and for which Chromium knows passwords.
 * SOCKS5 is for programs that have nothing else. Never DIRECT: a name of the cluster is no business of the network outside.
 */
function wordOf(proxy: ProxyAddress): string {
  const address = formatTarget(proxy);
  return `PROXY ${address}; SOCKS5 ${address}`;
}

/** What the program is given, as numbers and keys that it need not read any more. */
interface PacRoutes {
  readonly otherwise: Otherwise;
  readonly suffix: string;
  readonly rules: readonly {
    readonly direct: boolean;
    readonly to?: Places;
    /** First and last, of each range. */
    readonly ports?: readonly number[];
  }[];
  readonly cluster: {
    readonly names: Keys;
    readonly ends: Keys;
    readonly namespaces: Keys;
    readonly networks: Numbers;
    readonly attached: Numbers;
  };
}

interface Numbers {
  readonly ipv4: readonly number[];
  readonly ipv6: readonly number[];
}

interface Places extends Numbers {
  readonly names: Keys;
  readonly ends: Keys;
  readonly expressions: readonly string[];
}

type Keys = Readonly<Record<string, 1>>;

function placesOf(to: readonly RoutePlace[]): Places {
  const named = (kind: 'name' | 'below') => keys(to.flatMap(item => (item.kind === kind ? [item.name] : [])));
  return {
    ...numbersOf(to.filter(item => item.kind === 'network')),
    names: named('name'),
    ends: named('below'),
    expressions: to.flatMap(item => (item.kind === 'expression' ? [item.expression.source] : [])),
  };
}

/** With a dot in front, no name is that of a member of all objects. */
function keys(names: readonly string[]): Keys {
  return Object.fromEntries(names.map(name => [`.${name}`, 1]));
}

function numbersOf(networks: readonly Network[]): Numbers {
  const ipv4: number[] = [];
  const ipv6: number[] = [];
  for (const { base, prefix } of networks) {
    if (base.family === 4) ipv4.push(base.d, prefix);
    else ipv6.push(base.a, base.b, base.c, base.d, prefix);
  }
  return { ipv4, ipv6 };
}

/** A value as ECMAScript 3 in ASCII: engines differ in what they take a file's encoding for. */
function literal(value: unknown): string {
  return JSON.stringify(value).replace(
    /[\u007f-\uffff]/g,
    character => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
