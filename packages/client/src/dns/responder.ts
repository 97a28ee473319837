import { Rcode } from '@podsocks/shared/dns/rcode';
import { CLASS_IN, Type } from '@podsocks/shared/dns/record-walk';
import { atMostEvery } from '@podsocks/shared/runtime/at-most-every';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import type { Logger } from '@podsocks/shared/runtime/log';
import { AnswerCache } from './answer-cache.ts';
import { type ClusterNames, ClusterZones } from './cluster-names.ts';
import { type DnsQuery, queryKey, readQuery } from './query.ts';
import { answerFor, type RawAnswer } from './raw-answer.ts';
import { datagramLimit, encodeHeaderReply, encodeName, encodeReply, InfoCode, type OwnReply } from './reply.ts';
import { NoUpstream } from './system-upstream.ts';

/** Names that stand for something else here than anywhere else: those of `--map`. */
export interface MappedNames {
  /** @param name lower case, no dot at the end. @returns a dotted quad. */
  lookup(name: string): { readonly address: string } | undefined;
  /** @param name likewise. @returns the mapped name whose address has this reverse name. */
  reverse(name: string): string | undefined;
}

/** Another DNS server. @throws PodsocksError: there is no answer, and why. */
export type Ask = (query: DnsQuery) => Promise<RawAnswer>;

export interface ResponderOptions {
  readonly cluster: ClusterNames;
  readonly mapped: MappedNames;
  readonly askCluster: Ask;
  readonly askSystem: Ask;
  readonly log: Logger;
  /** A clock that never steps back, in milliseconds. */
  readonly now: () => number;
}

/** What came since the start. */
export interface DnsCounts {
  /** Queries, by the way that they came. */
  udp: number;
  tcp: number;
  /** Where those were answered that could be: here, from what is remembered, by the cluster, by the system's servers. */
  mapped: number;
  remembered: number;
  cluster: number;
  system: number;
  /** Those of them without an answer. */
  failed: number;
  /** What was no query, or none that this answers. */
  refused: number;
}

/** Questions under way to others; each has a socket, or a place in a connection. */
const MOST_ASKED = 256;

/** Who waits for them, where many want the same. */
const MOST_WAITING = 1024;

/** Turns queries into answers. */
export class Responder {
  readonly counts: DnsCounts = {
    udp: 0,
    tcp: 0,
    mapped: 0,
    remembered: 0,
    cluster: 0,
    system: 0,
    failed: 0,
    refused: 0,
  };
  readonly #options: ResponderOptions;
  readonly #logFailure: Record<'cluster' | 'system', (error: Error) => void>;
  #known: { readonly stamp: string; readonly zones: ClusterZones; readonly cache: AnswerCache } | undefined;
  #waiting = 0;

  constructor(options: ResponderOptions) {
    this.#options = options;
    const reporter = (what: string) =>
      atMostEvery<Error>(LOG_INTERVAL_MS, (count, { message }) => options.log.warn({ count }, `${what}: ${message}`));
    this.#logFailure = {
      cluster: reporter("local DNS: the cluster's names cannot be looked up"),
      system: reporter('local DNS: names outside of the cluster cannot be looked up'),
    };
  }

  /** Queries that wait for an answer of others. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Answers that are remembered. */
  get remembered(): number {
    return this.#known?.cache.size ?? 0;
  }

  /** @returns what to send back; undefined: nothing. Never rejects. */
  async respond(message: Buffer, by: 'udp' | 'tcp'): Promise<Buffer | undefined> {
    this.counts[by]++;
    const query = readQuery(message);
    if (query === undefined || typeof query === 'number') {
      this.counts.refused++;
      return query === undefined ? undefined : encodeHeaderReply(message, query);
    }
    const own = this.#ownReply(query);
    if (own !== undefined) return encodeReply(query, own);
    if (!this.#options.cluster.isHeard()) await this.#heard();
    const { zones, cache } = this.#current();
    const side = zones.has(query.name) ? 'cluster' : 'system';
    const key = queryKey(query);
    try {
      const known = cache.known(key);
      if (known === undefined) this.counts[side]++;
      else this.counts.remembered++;
      const { answer, age } = known ?? (await this.#ask(cache, key, side, query));
      return answerFor(query, answer, age, by === 'udp' ? datagramLimit(query) : MAX_MESSAGE_BYTES);
    } catch (error) {
      this.counts.failed++;
      this.#logFailure[side](error as Error);
      return encodeReply(query, failureReply(error as Error, side));
    }
  }

  /** What nobody else has to be asked for. */
  #ownReply(query: DnsQuery): OwnReply | undefined {
    const refusal = refusalOf(query);
    if (refusal !== undefined) {
      this.counts.refused++;
      return refusal;
    }
    if (query.type === QueryType.ANY) return MINIMAL_ANY;
    const mapped = mappedRecord(this.#options.mapped, query.name);
    if (mapped === undefined) return isOfThisResolver(query) ? NOTHING : undefined;
    this.counts.mapped++;
    return mapped.type === query.type ? { rcode: Rcode.NOERROR, record: mapped } : NOTHING;
  }

  /** Until it is known which names are the cluster's, where that is to be expected. */
  async #heard(): Promise<void> {
    if (this.#waiting >= MOST_WAITING) return;
    this.#waiting++;
    await this.#options.cluster.heard();
    this.#waiting--;
  }

  async #ask(cache: AnswerCache, key: string, side: 'cluster' | 'system', query: DnsQuery) {
    const { askCluster, askSystem } = this.#options;
    if (this.#waiting >= MOST_WAITING || (cache.asking >= MOST_ASKED && !cache.isAsked(key))) throw BUSY;
    this.#waiting++;
    try {
      return await cache.answer(key, () => (side === 'cluster' ? askCluster : askSystem)(query));
    } finally {
      this.#waiting--;
    }
  }

  /** With a change of the cluster goes all that is remembered: it may be another one. */
  #current() {
    const { cluster, now } = this.#options;
    const stamp = JSON.stringify([cluster.zones(), cluster.networks(), cluster.nameservers()]);
    if (this.#known?.stamp !== stamp) {
      const zones = new ClusterZones(cluster.zones(), cluster.networks());
      this.#known = { stamp, zones, cache: new AnswerCache(now) };
    }
    return this.#known;
  }
}

const LOG_INTERVAL_MS = 10_000;

const MAX_MESSAGE_BYTES = 0xffff;

const BUSY = new PodsocksError('ERR_LIMIT', 'too many names are being looked up');

/** It may be mapped to something else after the next start. */
const MAPPED_TTL_S = 5;

/** QTYPEs and meta types (RFC 6895 section 3.1). */
const QueryType = { TKEY: 249, IXFR: 251, AXFR: 252, ANY: 255 } as const;

const NOTHING: OwnReply = { rcode: Rcode.NOERROR };

const HINFO = 13;

/** RFC 8482 section 4.2: "RFC8482" and "" as character strings. */
const MINIMAL_ANY: OwnReply = {
  rcode: Rcode.NOERROR,
  record: { type: HINFO, ttl: 3600, data: Buffer.from('\x07RFC8482\x00', 'latin1') },
};

/** The only record that there is of a mapped name, or of its address. */
function mappedRecord(mapped: MappedNames, name: string): OwnReply['record'] {
  const address = mapped.lookup(name)?.address;
  if (address !== undefined) {
    return { type: Type.A, ttl: MAPPED_TTL_S, data: Uint8Array.from(address.split('.'), Number) };
  }
  const host = mapped.reverse(name);
  return host === undefined ? undefined : { type: Type.PTR, ttl: MAPPED_TTL_S, data: encodeName(host) };
}

function refusalOf({ type, class: class_, edns }: DnsQuery): OwnReply | undefined {
  if (edns !== undefined && edns.version !== 0) return { rcode: Rcode.BADVERS };
  // version.bind and its like; there is nothing here but the names of others.
  if (class_ !== CLASS_IN) return { rcode: Rcode.REFUSED };
  // A whole zone would be much to pass on.
  if (type === QueryType.AXFR || type === QueryType.IXFR) return { rcode: Rcode.REFUSED };
  // Keys and signatures of a hop, mailboxes of 1983, and OPT.
  const isMeta = (type >= QueryType.TKEY && type < QueryType.ANY) || type === Type.OPT;
  return isMeta || type === 0 ? { rcode: Rcode.NOTIMP } : undefined;
}

/**
 * RFC 9462 section 6.4: a client that wants this resolver's encrypted siblings would be told those of another, and ask past this
 * one.
 */
function isOfThisResolver({ name }: DnsQuery): boolean {
  return name === 'resolver.arpa' || name.endsWith('.resolver.arpa');
}

function failureReply(error: Error, side: 'cluster' | 'system'): OwnReply {
  if (error instanceof NoUpstream) {
    return { rcode: Rcode.REFUSED, explanation: { code: InfoCode.notReady, text: error.message } };
  }
  const text = error instanceof PodsocksError ? error.message : `looking up by the ${side} failed`;
  return { rcode: Rcode.SERVFAIL, explanation: { code: InfoCode.noReachableAuthority, text } };
}
