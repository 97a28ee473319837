import { type Expiring, TtlCache } from '@podsocks/shared/dns/ttl-cache';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import type { RawAnswer } from './raw-answer.ts';

/** An answer, and how many seconds ago it came. */
export interface Aged {
  readonly answer: RawAnswer;
  readonly age: number;
}

interface Remembered extends Expiring {
  readonly outcome: RawAnswer | PodsocksError;
  readonly since: number;
}

const MAX_BYTES = 4 * 1024 * 1024;

/** What an entry takes beside its message; so there are at most 4096. */
const ENTRY_BYTES = 1024;

/** RFC 9520 section 3.2: a program that tries again at once is not worth another question. */
const FAILURE_MS = 1000;

/** Answers until their TTL is over. Of those who ask the same at once, one does. */
export class AnswerCache {
  readonly #now: () => number;
  readonly #remembered: TtlCache<Remembered>;
  readonly #asked = new Map<string, Promise<RawAnswer>>();

  /** @param now a clock that never steps back, in milliseconds. */
  constructor(now: () => number, { maxBytes = MAX_BYTES } = {}) {
    this.#now = now;
    this.#remembered = new TtlCache(maxBytes);
  }

  get size(): number {
    return this.#remembered.size;
  }

  /** Questions under way. */
  get asking(): number {
    return this.#asked.size;
  }

  /**
   * What is known already.
   *
   * @throws PodsocksError as whoever was asked has thrown a moment ago.
   */
  known(key: string): Aged | undefined {
    const now = this.#now();
    const remembered = this.#remembered.get(key, now);
    if (remembered === undefined) return undefined;
    const { outcome, since } = remembered;
    if (outcome instanceof PodsocksError) throw outcome;
    return { answer: outcome, age: Math.floor((now - since) / 1000) };
  }

  /** Whether somebody is asking this now, so that it takes no question. */
  isAsked(key: string): boolean {
    return this.#asked.has(key);
  }

  /** @throws what `ask` throws. */
  async answer(key: string, ask: () => Promise<RawAnswer>): Promise<Aged> {
    const pending = this.#asked.get(key);
    if (pending !== undefined) return { answer: await pending, age: 0 };
    const asked = ask();
    this.#asked.set(key, asked);
    try {
      const answer = await asked;
      this.#remember(key, answer, answer.message.length, answer.ttl * 1000);
      return { answer, age: 0 };
    } catch (error) {
      if (error instanceof PodsocksError) this.#remember(key, error, 0, FAILURE_MS);
      throw error;
    } finally {
      this.#asked.delete(key);
    }
  }

  #remember(key: string, outcome: Remembered['outcome'], bytes: number, lasts: number): void {
    if (lasts === 0) return;
    const since = this.#now();
    // An entry weighs one more than it says.
    this.#remembered.set(key, { outcome, since, until: since + lasts, weight: ENTRY_BYTES - 1 + bytes });
  }
}
