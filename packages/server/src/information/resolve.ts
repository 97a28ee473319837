import { Rcode } from '@podsocks/shared/dns/rcode';
import type { QueryType, ResourceRecord } from '../resolver/message.ts';
import {
  absolute,
  choice,
  InformationError,
  type InformationRequest,
  type InformationSources,
  parameter,
} from './answer.ts';

const TYPES = ['ANY', 'A', 'AAAA', 'CNAME', 'MX', 'NS', 'PTR', 'SOA', 'SRV', 'TXT'] as const;

/** A record as JSON has it. */
interface Answer {
  readonly name: string;
  readonly type: QueryType;
  /** Seconds, where it is known: the resolver does not tell how long addresses are good. */
  readonly ttl?: number;
  readonly data: unknown;
}

export interface ResolveAnswer {
  readonly name: string;
  readonly type: (typeof TYPES)[number];
  readonly answers: readonly Answer[];
}

/**
 * `GET /v1/resolve?name=&type=`: what the server's resolver says. Addresses (A, AAAA, and both where no type is given) are
 * looked up as for a connection, through the search list; other records are asked for by the name as it is.
 *
 * @throws InformationError or PodsocksError, as the resolver does.
 */
export async function resolve(
  { user, parameters }: InformationRequest,
  { resolver, lookups, policy }: InformationSources,
): Promise<ResolveAnswer> {
  const name = parameter(parameters, 'name', 'web.default');
  const type = choice(parameters, 'type', TYPES, 'ANY');
  const isAddress = type === 'A' || type === 'AAAA' || type === 'ANY';
  // By questions for names data gets out, so a name that may not be connected to, whatever its address, is not asked for.
  if (!policy.mayLookUp(user, isAddress ? name : absolute(name))) {
    throw denied(name);
  }
  if (isAddress) {
    const family = type === 'ANY' ? undefined : type === 'A' ? 4 : 6;
    const all = await lookups.ask(user, name, () => resolver.resolve(name, family));
    // Where rules have names, the search list had to say first which name it is.
    const found = all.filter(({ name: completed = name }) => policy.mayLookUp(user, absolute(completed)));
    if (found.length === 0) throw denied(name);
    const answers = found.map(({ address, family: of, name: completed = name }) => ({
      name: completed,
      type: of === 6 ? ('AAAA' as const) : ('A' as const),
      data: address,
    }));
    return { name, type, answers };
  }
  const { rcode, answers } = await lookups.ask(user, name, () => resolver.query(name, type));
  if (rcode === Rcode.NXDOMAIN) throw new InformationError(404, 'not-found', `${name}: no such name`);
  return { name, type, answers: answers.map(record => ({ ...record, data: readable(record) })) };
}

function denied(name: string): InformationError {
  return new InformationError(403, 'denied', `${JSON.stringify(name)}: not allowed, whatever its address is`);
}

/** dns-packet has texts as bytes. */
function readable({ type, data }: ResourceRecord): unknown {
  return type === 'TXT' ? (data as readonly Uint8Array[]).map(text => Buffer.from(text).toString()) : data;
}
