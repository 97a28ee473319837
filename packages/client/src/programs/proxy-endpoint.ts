import { BlockList, isIPv6 } from 'node:net';
import type { Endpoint } from '@podsocks/shared/net/listener';
import { formatTarget } from '@podsocks/shared/wire/address';

/** What a proxy asks for. */
export interface Access {
  readonly username: string;
  readonly password: string;
}

/** Where programs find the proxy, and what it wants to know of them. */
export interface ProxyEndpoint extends Endpoint {
  /** Where it asks for them. */
  readonly access?: Access;
}

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8);
LOOPBACK.addAddress('::1', 'ipv6');

export function isLoopback(host: string): boolean {
  return host === 'localhost' || LOOPBACK.check(host, isIPv6(host) ? 'ipv6' : 'ipv4');
}

/** `http://ada:p%20w@127.0.0.1:1080`; what is not plain in a user name or password is percent-encoded. */
export function proxyUrl(scheme: 'http' | 'socks5h', proxy: ProxyEndpoint): string {
  const { access } = proxy;
  const login = access === undefined ? '' : `${encoded(access.username)}:${encoded(access.password)}@`;
  return `${scheme}://${login}${formatTarget(proxy)}`;
}

/** Also the marks that encodeURIComponent leaves, some of which shells and programs take for their own. */
function encoded(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, mark => `%${mark.charCodeAt(0).toString(16).toUpperCase()}`);
}
