import { isIP } from 'node:net';
import { parseName } from '@podsocks/shared/dns/dns-name';
import { DNS_PORT } from '@podsocks/shared/dns/resolv-conf';
import type { Endpoint } from '@podsocks/shared/net/listener';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { type Fields, text, texts } from '@podsocks/shared/settings/fields';
import {
  type Layer,
  type Settings,
  type Sourced,
  several,
  single,
  type Warn,
} from '@podsocks/shared/settings/settings';
import { parseHost, parsePort } from '@podsocks/shared/settings/values';

/** Not 53, which takes a right that ss-local does not need, nor 5353, which is mDNS. */
export const DEFAULT_DNS_LISTEN: Endpoint = { host: '127.0.0.1', port: 5354 };

/** The local DNS server, as flags, environment and file have it. */
export interface DnsConfig {
  readonly listen: readonly Endpoint[];
  /** The cluster's DNS servers, as they are called there; empty: those that ss-server names. */
  readonly servers: readonly Endpoint[];
  /** What is asked there beside the cluster's own domain: lower case, no dot at the end; `.` is everything. */
  readonly zones: readonly string[];
  /** Who is asked for everything else; empty: the servers of the system. */
  readonly upstreams: readonly Endpoint[];
}

/** Its flags and their variables. */
export const DNS_SETTINGS = {
  dns: single(
    { flags: '--dns [address:port]', env: 'SS_DNS' },
    'answer DNS queries there, UDP and TCP (default without a value: 127.0.0.1:5354)',
    parseDnsListen,
  ),
  dnsServer: several(
    { flags: '--dns-server <host[:port]>', env: 'SS_DNS_SERVER' },
    "the cluster's DNS server, may be repeated (default: as ss-server says)",
    parseDnsServer,
  ),
  dnsZone: several(
    { flags: '--dns-zone <domain>', env: 'SS_DNS_ZONE' },
    'a domain that is asked for there, may be repeated (default: as ss-server says)',
    parseDnsZone,
  ),
  dnsUpstream: several(
    { flags: '--dns-upstream <address[:port]>', env: 'SS_DNS_UPSTREAM' },
    "DNS server for all other names, may be repeated (default: the system's)",
    parseDnsUpstream,
  ),
} satisfies Settings;

/** Its fields of the configuration file. */
export const dnsFields = {
  dns: text(parseDnsListen),
  dns_server: texts(parseDnsServer),
  dns_zone: texts(parseDnsZone),
  dns_upstream: texts(parseDnsUpstream),
} satisfies Fields;

/** @returns undefined where there shall be none; warns of what then has no effect. */
export function dnsOf(given: Layer<typeof DNS_SETTINGS>, warn: Warn): DnsConfig | undefined {
  const { dns, dnsServer, dnsZone, dnsUpstream } = given;
  const listen = dns?.value;
  if (listen === undefined) {
    for (const idle of [dnsServer, dnsZone, dnsUpstream] as readonly (Sourced<unknown> | undefined)[]) {
      if (idle) warn(`${idle.from}: has no effect without a local DNS server; add --dns, or leave it out`);
    }
    return undefined;
  }
  return {
    listen: [listen],
    servers: dnsServer?.value ?? [],
    zones: dnsZone?.value ?? [],
    upstreams: dnsUpstream?.value ?? [],
  };
}

/**
 * `127.0.0.1:5354`, either half of it, or `on`; `off` is undefined. commander says `true` of a flag without a value.
 *
 * @throws PodsocksError ERR_CONFIG.
 */
export function parseDnsListen(given: string): Endpoint | undefined {
  if (given === 'on' || given === 'true') return DEFAULT_DNS_LISTEN;
  if (given === 'off' || given === 'false') return undefined;
  if (/^\d+$/.test(given)) return { host: DEFAULT_DNS_LISTEN.host, port: parsePort(given) };
  // What stands behind a bare --dns is taken for its value.
  if (given.includes('://')) throw wrong('is a URL; put the URL ahead of --dns, or write --dns=127.0.0.1:5354');
  const { host, port = DEFAULT_DNS_LISTEN.port } = parseHost(given);
  if (isIP(host)) return { host, port };
  throw wrong(`${JSON.stringify(host)} is no IP address; give one of this machine, such as 127.0.0.1:5354`);
}

function parseDnsServer(given: string): Endpoint {
  const { host, port = DNS_PORT } = parseHost(given);
  if (port > 0) return { host, port };
  throw wrong('no server has port 0; give its port, or leave it out for 53');
}

function parseDnsUpstream(given: string): Endpoint {
  const server = parseDnsServer(given);
  if (isIP(server.host)) return server;
  throw wrong(`${JSON.stringify(server.host)} is no IP address; give one, as nobody knows names without a DNS server`);
}

function parseDnsZone(given: string): string {
  if (given === '.') return given;
  const name = parseName(given)?.text;
  if (name !== undefined) return name;
  throw wrong(`${JSON.stringify(given.slice(0, 64))} is no domain; give one such as cluster.local`);
}

function wrong(message: string): PodsocksError {
  return new PodsocksError('ERR_CONFIG', message);
}
