import { isIP } from 'node:net';
import type { Endpoint } from '../net/listener.ts';
import { parseName } from './dns-name.ts';

/** What /etc/resolv.conf says (resolv.conf(5), glibc). */
export interface ResolvConf {
  /** In the order to be asked, at least one. */
  readonly servers: readonly Endpoint[];
  /** Domains in lower case, without trailing dots; '' is the root. */
  readonly search: readonly string[];
  /** A name with as many dots is tried as it is first, 0..15. */
  readonly ndots: number;
  /** How long one server has for its answer, in milliseconds. */
  readonly timeout: number;
  /** How often all servers are asked. */
  readonly attempts: number;
  /** Begin with another server each time. */
  readonly rotate: boolean;
}

export const DNS_PORT = 53;

/** MAXNS of <resolv.h>: glibc does not ask a fourth server, so a name that only that one has is not found elsewhere. */
const MAX_SERVERS = 3;

/** What Kubernetes allows in a pod (dnsConfig.searches); glibc has had no limit since 2.26. */
const MAX_SEARCH = 32;

/** The bounds and defaults of <resolv.h>, which resolv.conf(5) names. */
const NDOTS = { least: 0, most: 15, unless: 1 };
const TIMEOUT_S = { least: 1, most: 30, unless: 5 };
const ATTEMPTS = { least: 1, most: 5, unless: 2 };

/**
 * Reads the text of a resolv.conf as glibc does: unknown lines and options are passed over, of `search` and `domain` the
 * last one counts, a line with a `#` or `;` in front is a comment. LOCALDOMAIN and RES_OPTIONS are not looked at.
 *
 * @param text undefined where there is no such file.
 * @param hostname this machine's: where nothing is said, the search list is what comes after its first dot.
 */
export function parseResolvConf(text: string | undefined, hostname = ''): ResolvConf {
  const servers: Endpoint[] = [];
  let search: string[] | undefined;
  const options: string[] = [];
  for (const line of (text ?? '').split('\n')) {
    const [keyword, ...values] = line.trimEnd().split(/[ \t]+/);
    if (values.length === 0) continue;
    if (keyword === 'nameserver') {
      const host = /^[^;#]*/.exec(values[0] ?? '')![0];
      if (isIP(host) && servers.length < MAX_SERVERS) servers.push({ host, port: DNS_PORT });
    } else if (keyword === 'search') search = values;
    else if (keyword === 'domain') search = values.slice(0, 1);
    else if (keyword === 'options') options.push(...values);
  }
  const [, ...localDomain] = hostname.split('.');
  return {
    servers: servers.length > 0 ? servers : [{ host: '127.0.0.1', port: DNS_PORT }],
    search: parseSearch(search ?? [localDomain.join('.')]),
    ndots: numberIn(options, 'ndots', NDOTS),
    timeout: numberIn(options, 'timeout', TIMEOUT_S) * 1000,
    attempts: numberIn(options, 'attempts', ATTEMPTS),
    rotate: options.includes('rotate'),
  };
}

/** The domains that can be ones, as a {@link ResolvConf} has them. */
export function parseSearch(domains: readonly string[]): string[] {
  return domains
    .flatMap(domain => (domain === '.' ? '' : (parseName(domain)?.text ?? [])))
    .filter((domain, index, all) => all.indexOf(domain) === index)
    .slice(0, MAX_SEARCH);
}

/** The last `name:<n>`, brought within its bounds; what is no number does not count. */
function numberIn(options: readonly string[], name: string, { least, most, unless }: typeof NDOTS): number {
  const [, given] = options.findLast(option => option.startsWith(`${name}:`))?.split(':') ?? [];
  return given !== undefined && /^\d+$/.test(given) ? Math.min(Math.max(Number(given), least), most) : unless;
}
