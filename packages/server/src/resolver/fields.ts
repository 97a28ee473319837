import { isIP } from 'node:net';
import { parseName } from '@podsocks/shared/dns/dns-name';
import { DNS_PORT } from '@podsocks/shared/dns/resolv-conf';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { type Fields, number, texts } from '@podsocks/shared/settings/fields';
import { type Settings, several, single } from '@podsocks/shared/settings/settings';
import { parseHost } from '@podsocks/shared/settings/values';

/** The flags of the resolver, and their variables. */
export const RESOLVER_SETTINGS = {
  nameserver: several(
    { flags: '-d, --nameserver <address>', env: 'SS_NAMESERVER' },
    'DNS server to ask, may be repeated or a list with commas (default: those of /etc/resolv.conf)',
    parseNameservers,
  ),
  dnsSearch: several(
    { flags: '--dns-search <domain>', env: 'SS_DNS_SEARCH' },
    'domain to complete names with, may be repeated or a list with commas (default: as /etc/resolv.conf says)',
    parseDomains,
  ),
  dnsNdots: single(
    { flags: '--dns-ndots <number>', env: 'SS_DNS_NDOTS' },
    'dots from which on a name is first tried as it is (default: as /etc/resolv.conf says, else 1)',
    parseNdots,
  ),
} satisfies Settings;

/** Its fields of the configuration file. */
export const resolverFields = {
  nameserver: texts(parseNameservers).refine(given => given.length > 0, 'is empty; list a server, or remove it'),
  dns_search: texts(parseDomains),
  dns_ndots: number(parseNdots),
} satisfies Fields;

function parseNameservers(text: string): { readonly host: string; readonly port: number }[] {
  return list(text).map(item => {
    const { host, port = DNS_PORT } = parseHost(item);
    if (isIP(host) && port > 0) return { host, port };
    throw wrong(`${JSON.stringify(item)} is no address of a DNS server; give an IP address, or address:port`);
  });
}

function parseDomains(text: string): string[] {
  return list(text).map(item => {
    if (item === '.' || parseName(item)) return item;
    throw wrong(`${JSON.stringify(item)} is no domain; give one such as svc.cluster.local`);
  });
}

/** glibc has the same bound (resolv.conf(5)). */
const MOST_NDOTS = 15;

function parseNdots(text: string): number {
  const ndots = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (ndots <= MOST_NDOTS) return ndots;
  throw wrong(`${JSON.stringify(text)} is no number of dots; give one from 0 to ${MOST_NDOTS}`);
}

/** `a,b` and `a, b`, as shadowsocks-libev writes lists. */
function list(text: string): string[] {
  return text.split(',').map(item => item.trim());
}

function wrong(message: string): PodsocksError {
  return new PodsocksError('ERR_CONFIG', message);
}
