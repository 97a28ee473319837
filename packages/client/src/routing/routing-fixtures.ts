import { createContext, runInContext } from 'node:vm';
import { type Target, targetOf } from '@podsocks/shared/wire/address';
import { parseRoutePattern } from './route-pattern.ts';
import type { RouteRule, Way } from './route-rule.ts';
import { type KnownCluster, Router, type RouteSettings } from './router.ts';

export const CLUSTER: KnownCluster = {
  domain: 'cluster.local',
  namespace: 'podsocks-1',
  nameservers: ['10.96.0.10'],
  allowed: ['10.96.0.0/12', '10.244.0.0/16', 'fd00:10:96::/112'],
  default: 'deny',
};

/** As a flag makes it. */
export const rule = (way: Way, pattern: string): RouteRule => ({
  way,
  ...parseRoutePattern(pattern),
  from: `--${way} ${pattern}`,
});

/** @param cluster what differs from {@link CLUSTER}; without it nothing is known. */
export function routerOf(
  settings: Partial<RouteSettings>,
  cluster?: Partial<KnownCluster>,
  attached: readonly string[] = [],
): Router {
  const made = new Router({ rules: [], default: 'tunnel', namespaces: [], ...settings }, attached);
  if (cluster) made.learn({ ...CLUSTER, ...cluster }, 'podsocks');
  return made;
}

/** `host`, `host:port` or IPv6; without a port it is 443. */
export function asked(text: string): Target {
  const [, host, port] = /^(.*?)(?::(\d+))?$/.exec(text)!;
  return text.split(':').length > 2 ? targetOf(text, 443) : targetOf(host!, Number(port ?? 443));
}

/** The way of each. */
export function ways(by: Router, texts: readonly string[]): Record<string, Way> {
  return Object.fromEntries(texts.map(text => [text, by.decide(asked(text)).way]));
}

/** The same way for each. */
export function all(texts: readonly string[], way: Way): Record<string, Way> {
  return Object.fromEntries(texts.map(text => [text, way]));
}

export const PROXY = { host: '127.0.0.1', port: 1080 };
export const WORD = 'PROXY 127.0.0.1:1080; SOCKS5 127.0.0.1:1080';

/** Nothing of Node is there, nor any of the functions of PAC. */
const context = createContext(Object.create(null));

/** Asks a PAC file as a browser does. */
export function browser(pac: string): (url: string, host?: string) => string {
  const find = runInContext(`(function () { ${pac}; return FindProxyForURL; })()`, context);
  return (url, host = hostOf(url)) => find(url, host);
}

const hostOf = (url: string) => /^[a-z]+:\/\/(?:[^@/]*@)?(\[[^\]]*\]|[^:/?#]*)/i.exec(url)![1]!.replace(/[[\]]/g, '');
