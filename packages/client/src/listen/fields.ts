import { BlockList, isIPv6 } from 'node:net';
import type { Endpoint } from '@podsocks/shared/net/listener';
import { reachedAt } from '@podsocks/shared/net/wildcard';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { type Fields, number, texts, yesOrNo } from '@podsocks/shared/settings/fields';
import { type Layer, type Settings, several, single, toggle, type Warn } from '@podsocks/shared/settings/settings';
import { parseCount, parseHost, parseListenPort } from '@podsocks/shared/settings/values';
import { formatTarget } from '@podsocks/shared/wire/address';
import ipaddr from 'ipaddr.js';
import type { LanSettings } from './client-gate.ts';
import { hasIpv6 } from './machine-addresses.ts';

const DEFAULT_LISTEN = { host: '127.0.0.1', port: 1080 };

/** `::` takes IPv4 too, and cannot be listened on where there is no IPv6 at all. */
const everywhere = (): string => (hasIpv6() ? '::' : '0.0.0.0');

/** RFC 1918, RFC 4193 and link-local addresses: what has no way to here from the internet. */
const PRIVATE_NETWORKS = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '169.254.0.0/16', 'fc00::/7', 'fe80::/10'];

/** What a browser with many tabs takes, twice. */
const DEFAULT_MAX_PER_CLIENT = 512;

export const LISTEN_SETTINGS = {
  localAddress: several(
    { flags: '-b, --local-address <address>', env: 'SS_LOCAL_ADDRESS' },
    `address to listen on, may be repeated (default: ${DEFAULT_LISTEN.host})`,
    parseListenHost,
  ),
  localPort: single(
    { flags: '-l, --local-port <port>', env: 'SS_LOCAL_PORT' },
    `port to listen on (default: ${DEFAULT_LISTEN.port})`,
    parseListenPort,
  ),
  lan: toggle('--lan', 'listen on all addresses, for other machines of the local network, which give a password'),
  lanAllow: several(
    { flags: '--lan-allow <cidr>' },
    'network that --lan lets in, may be repeated (default: the private ones)',
    parseNetwork,
  ),
  lanOpen: toggle('--lan-open', 'let them in without a password'),
  maxConnectionsPerClient: single(
    { flags: '--max-connections-per-client <n>' },
    `connections of one other machine at a time, with --lan (default: ${DEFAULT_MAX_PER_CLIENT})`,
    parseCount,
  ),
} satisfies Settings;

export const listenFields = {
  local_address: texts(parseListenHost),
  local_port: number(parseListenPort),
  lan: yesOrNo,
  lan_allow: texts(parseNetwork),
  lan_open: yesOrNo,
  max_connections_per_client: number(parseCount),
} satisfies Fields;

type Given = Layer<typeof LISTEN_SETTINGS>;

/**
 * Where to listen, and for whom.
 *
 * @param asksForPassword whether there are SOCKS users.
 * @throws PodsocksError ERR_CONFIG: open to others, and nobody has said that it shall be.
 */
export function listenOf(
  given: Given,
  asksForPassword: boolean,
  warn: Warn,
): { readonly listen: readonly Endpoint[]; readonly lan?: LanSettings } {
  const { lan, lanAllow, lanOpen, localAddress, maxConnectionsPerClient } = given;
  const port = given.localPort?.value ?? DEFAULT_LISTEN.port;
  if (!lan?.value) {
    for (const idle of [lanAllow, lanOpen?.value ? lanOpen : undefined, maxConnectionsPerClient]) {
      if (idle) throw wrong(`${idle.from}: says whom --lan lets in; add --lan, or leave it out`);
    }
    const listen = (localAddress?.value ?? [DEFAULT_LISTEN.host]).map(host => ({ host, port }));
    if (localAddress && !asksForPassword) warnIfOpen(listen, localAddress.from, warn);
    return { listen };
  }
  if (!asksForPassword && !lanOpen?.value) {
    throw wrong(
      `${lan.from}: everybody on the local network could use the tunnel; give --socks-username and --socks-password-file ` +
        '(or "socks_users"), or say --lan-open if that is what you want',
    );
  }
  const hosts = localAddress?.value ?? [everywhere()];
  if (localAddress && hosts.every(isLoopback)) {
    warn(
      `${localAddress.from}: no other machine reaches ${hosts.join(', ')}, with ${lan.from} neither; ` +
        'leave it out, or give an address that they reach',
    );
  }
  return {
    listen: hosts.map(host => ({ host, port })),
    lan: {
      allow: lanAllow?.value ?? PRIVATE_NETWORKS,
      maxPerClient: maxConnectionsPerClient?.value ?? DEFAULT_MAX_PER_CLIENT,
    },
  };
}

/** Where a program on this machine finds an instance with these settings. */
export function localEndpointOf({ localAddress, localPort }: Given): Endpoint {
  const [host = DEFAULT_LISTEN.host] = localAddress?.value ?? [];
  const port = localPort?.value ?? DEFAULT_LISTEN.port;
  return { host: reachedAt(host), port };
}

function parseListenHost(text: string): string {
  const { host, port } = parseHost(text);
  if (port === undefined) return host;
  throw wrong('is an address with a port; give the port as -l (--local-port) or "local_port"');
}

function parseNetwork(text: string): string {
  const [address = '', bits, ...more] = text.split('/');
  const isSix = address.includes(':');
  const most = isSix ? 128 : 32;
  const isAddress = isSix
    ? ipaddr.IPv6.isValid(address) && !address.includes('%')
    : ipaddr.IPv4.isValidFourPartDecimal(address);
  const isLength = bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= most);
  if (isAddress && isLength && more.length === 0) return `${address}/${bits ?? most}`;
  throw wrong('is not a network; give it as 192.168.1.0/24');
}

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8);
LOOPBACK.addAddress('::1', 'ipv6');

export const isLoopback = (host: string): boolean =>
  host === 'localhost' || LOOPBACK.check(host, isIPv6(host) ? 'ipv6' : 'ipv4');

/** Warns where others than this machine may come in, and nobody asks who they are. */
function warnIfOpen(listen: readonly Endpoint[], from: string, warn: Warn): void {
  const open = listen.filter(({ host }) => !isLoopback(host)).map(formatTarget);
  if (open.length === 0) return;
  warn(
    `${from}: anyone who can reach ${open.join(', ')} can use the tunnel; ` +
      'give "socks_users" or --socks-username, or listen for this machine only: -b 127.0.0.1',
  );
}

function wrong(message: string): PodsocksError {
  return new PodsocksError('ERR_CONFIG', message);
}
