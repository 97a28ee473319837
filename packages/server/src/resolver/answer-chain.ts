import { Rcode } from '@podsocks/shared/dns/rcode';
import type { DnsAnswer, QueryType, ResourceRecord } from './message.ts';

/** What an answer says about a name, after its aliases. */
export type ChainEnd =
  /** Addresses, or what else was asked for. */
  | { readonly kind: 'found'; readonly records: readonly ResourceRecord[]; readonly ttl: number }
  /** NXDOMAIN, or a name without records of the type; `ttl` undefined: not to be remembered (RFC 2308 section 5). */
  | { readonly kind: 'not-found' | 'no-data'; readonly ttl: number | undefined }
  /** An alias whose target the server did not look up. */
  | { readonly kind: 'elsewhere'; readonly name: string; readonly links: number; readonly ttl: number }
  /** The aliases go on for longer than anyone's would, or in a circle. */
  | { readonly kind: 'endless' };

/** How many CNAMEs may lie between a name and its addresses; BIND and Unbound allow 11 to 17. */
export const MAX_LINKS = 16;

/**
 * Follows the CNAMEs of an answer from a name to the records of a type. Records of other names do not count.
 *
 * @param answer whose RCODE is NOERROR or NXDOMAIN.
 * @param links how many CNAMEs came before.
 */
export function followChain(answer: DnsAnswer, name: string, type: QueryType, links = 0): ChainEnd {
  const aliases = new Map<string, ResourceRecord>();
  for (const record of answer.answers) {
    if (record.type === 'CNAME' && type !== 'CNAME' && !aliases.has(record.name)) aliases.set(record.name, record);
  }
  let current = name;
  let ttl = Number.POSITIVE_INFINITY;
  let followed = links;
  for (let alias = aliases.get(current); alias !== undefined; alias = aliases.get(current)) {
    if (++followed > MAX_LINKS) return { kind: 'endless' };
    ttl = Math.min(ttl, alias.ttl);
    current = (alias.data as string).toLowerCase();
  }
  const isMissing = answer.rcode === Rcode.NXDOMAIN;
  const records = answer.answers.filter(record => record.name === current && record.type === type);
  if (records.length > 0 && !isMissing) {
    for (const record of records) ttl = Math.min(ttl, record.ttl);
    return { kind: 'found', records, ttl };
  }
  const negative = negativeTtl(answer);
  const isEnd = isMissing || followed === links || negative !== undefined;
  if (!isEnd) return { kind: 'elsewhere', name: current, links: followed, ttl };
  return { kind: isMissing ? 'not-found' : 'no-data', ttl: negative && Math.min(negative, ttl) };
}

/** RFC 2308 section 5: the lesser of the SOA's own TTL and its MINIMUM field. */
function negativeTtl({ authorities }: DnsAnswer): number | undefined {
  const soa = authorities.find(({ type }) => type === 'SOA');
  return soa && Math.min(soa.ttl, (soa.data as { minimum: number }).minimum);
}
