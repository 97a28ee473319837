import type { Endpoint } from '@podsocks/shared/net/listener';
import { isLoopback } from './proxy-endpoint.ts';

/** What is ours in a variable with JVM options, wherever it stands. */
const OURS =
  /(^|\s)-D(?:https?\.proxy(?:Host|Port)|socksProxy(?:Host|Port)|socksNonProxyHosts|aether\.connector\.http\.useSystemProperties)=\S*/g;

/** What a JVM has a URL go through: the proxy gets the name as it is. */
export function httpOptions({ host, port }: Endpoint): readonly string[] {
  return ['http', 'https'].flatMap(scheme => [`-D${scheme}.proxyHost=${host}`, `-D${scheme}.proxyPort=${port}`]);
}

/** What a JVM has all other sockets go through: SOCKS5, and a name only where the JVM itself does not find it. */
export function socksOptions({ host, port }: Endpoint): readonly string[] {
  const options = [`-DsocksProxyHost=${host}`, `-DsocksProxyPort=${port}`];
  // Without this the way to the HTTP proxy, which is a socket like any other, would lead through SOCKS.
  return isLoopback(host) ? options : [...options, `-DsocksNonProxyHosts=localhost|127.*|[::1]|${host}`];
}

/** Since 3.9 Maven downloads with a client of its own, which looks at the JVM's properties only if told. */
export const MAVEN_OPTIONS = ['-Daether.connector.http.useSystemProperties=true'] as const;

/**
 * The value of a variable with JVM options: what somebody else has put there, and ours in place of what was ours.
 *
 * @returns undefined where nothing is left.
 */
export function withJavaOptions(before: string | undefined, options: readonly string[]): string | undefined {
  const others = (before ?? '').replace(OURS, '').trim();
  return [...(others ? [others] : []), ...options].join(' ') || undefined;
}
