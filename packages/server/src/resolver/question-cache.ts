import type { Address } from '@podsocks/shared/dns/address';
import { addressIn, parseName } from '@podsocks/shared/dns/dns-name';
import { type Expiring, TtlCache } from '@podsocks/shared/dns/ttl-cache';
import { followChain } from './answer-chain.ts';
import type { ResolveFailure } from './failure.ts';
import type { Question } from './message.ts';
import type { Upstream } from './upstream.ts';

/** What is known of one name and one family. */
export interface Outcome extends Expiring {
  /** Empty if and only if there is a failure. */
  readonly addresses: readonly Address[];
  readonly failure?: ResolveFailure;
  /** What the servers said. */
  readonly detail: string;
}

/**
 * Bounds of TTLs, in milliseconds. A TTL of 0, which CoreDNS can be told to give, is held for a second, or each datagram
 * to such a name would be a query. The upper bounds are for TTLs that are not what the cluster does: its pods and
 * services change within seconds, and CoreDNS says 5 s or 30 s.
 */
const LEAST_MS = 1000;
const FOUND_MOST_MS = 300_000;
const MISSING_MOST_MS = 30_000;

/**
 * Failures of servers are held as well, but for as long only as a program takes to try again at once: RFC 9520 section 3.2
 * asks for a second, so that a server that cannot answer is not asked by every connection anew.
 */
export const FAILED_MS = 1000;

/** A connection tries seven within its time, and each is one more for the policy; answers by TCP can have 4000. */
const MOST_ADDRESSES = 32;

/** Whether it says something about the name, and not only about this resolver at this moment. */
export function isKnowledge({ failure }: Outcome): boolean {
  return failure !== 'busy' && failure !== 'closed';
}

/** Questions for addresses, with their answers until these expire. Of those who ask the same at once, one does. */
export class QuestionCache {
  readonly #upstream: Upstream;
  readonly #now: () => number;
  readonly #known: TtlCache<Outcome>;
  readonly #asked = new Map<string, Promise<Outcome>>();

  constructor({ upstream, now, maxWeight }: { upstream: Upstream; now: () => number; maxWeight: number }) {
    this.#upstream = upstream;
    this.#now = now;
    this.#known = new TtlCache(maxWeight);
  }

  get size(): number {
    return this.#known.size;
  }

  /** @param name lower case, absolute. Never rejects. */
  async ask(name: string, family: 4 | 6): Promise<Outcome> {
    const key = `${family}${name}`;
    const known = this.#known.get(key, this.#now()) ?? this.#asked.get(key);
    if (known !== undefined) return known;
    const asked = this.#fetch({ name, type: family === 6 ? 'AAAA' : 'A' });
    this.#asked.set(key, asked);
    try {
      const outcome = await asked;
      if (isKnowledge(outcome)) this.#known.set(key, outcome);
      return outcome;
    } finally {
      this.#asked.delete(key);
    }
  }

  /** Asks, and goes on with the target of an alias where the server does not. */
  async #fetch(question: Question): Promise<Outcome> {
    let { name } = question;
    let links = 0;
    let ttl = Number.POSITIVE_INFINITY;
    for (;;) {
      const answer = await this.#upstream.ask({ name, type: question.type });
      if ('failure' in answer) return this.#missing(answer.failure, FAILED_MS, answer.detail);
      const end = followChain(answer, name, question.type, links);
      if (end.kind === 'endless') return this.#missing('server-failed', FAILED_MS, 'its aliases have no end');
      if (end.ttl !== undefined) ttl = Math.min(ttl, end.ttl);
      if (end.kind === 'found') {
        const addresses = end.records.slice(0, MOST_ADDRESSES).flatMap(({ data }) => addressIn(data as string) ?? []);
        return { addresses, weight: addresses.length, until: this.#until(ttl, FOUND_MOST_MS), detail: '' };
      }
      if (end.kind !== 'elsewhere') {
        const failure = end.kind === 'not-found' ? end.kind : 'no-address';
        return this.#missing(failure, end.ttl === undefined ? LEAST_MS : clamp(ttl * 1000, MISSING_MOST_MS));
      }
      const next = parseName(end.name);
      if (next === undefined) return this.#missing('server-failed', FAILED_MS, 'its alias is no name');
      ({ text: name } = next);
      ({ links } = end);
    }
  }

  #missing(failure: ResolveFailure, lasts: number, detail = ''): Outcome {
    return { addresses: [], failure, detail, weight: 0, until: this.#now() + lasts };
  }

  /** @param ttl seconds. */
  #until(ttl: number, most: number): number {
    return this.#now() + clamp(ttl * 1000, most);
  }
}

function clamp(ttl: number, most: number): number {
  return Math.min(Math.max(ttl, LEAST_MS), most);
}
