import type { DnsName } from '@podsocks/shared/dns/dns-name';
import { firstFamily, inTurn, type UsableFamily } from './address-order.ts';
import type { ResolveFailure } from './failure.ts';
import { FAILED_MS, isKnowledge, type Outcome, type QuestionCache } from './question-cache.ts';
import { candidates, SearchFailures, type SearchRules } from './search-list.ts';

export interface NameSearchOptions {
  readonly questions: QuestionCache;
  readonly rules: SearchRules;
  readonly ipv6First: boolean;
  readonly usable: UsableFamily;
  readonly now: () => number;
}

/** When no more names of the search list are tried, in milliseconds. Nobody waits for as long. */
const DEADLINE_MS = 20_000;

/**
 * How long addresses of one family wait for the other's answer, in milliseconds (RFC 8305 section 3). There it is 50 ms;
 * a name server under load may need longer for names outside the cluster, and this is only for answers that were lost.
 */
const RESOLUTION_DELAY_MS = 250;

/** Finds the addresses of a name: through the search list, both families at once. */
export class NameSearch {
  readonly #options: NameSearchOptions;

  constructor(options: NameSearchOptions) {
    this.#options = options;
  }

  /** @returns what holds for as long as all answers do that led to it, those included that sent it on. Never rejects. */
  async find(name: DnsName, family: 4 | 6 | undefined): Promise<Outcome> {
    const { rules, now } = this.#options;
    const deadline = now() + DEADLINE_MS;
    const failures = new SearchFailures();
    let until = Number.POSITIVE_INFINITY;
    let detail = '';
    for (const candidate of candidates(name, rules)) {
      if (!failures.wants(candidate)) continue;
      if (now() >= deadline) {
        failures.add(candidate, 'timed-out');
        until = Math.min(until, now() + FAILED_MS);
        break;
      }
      const outcome = await this.#ask(candidate.name, family);
      until = Math.min(until, outcome.until);
      if (outcome.failure === undefined) {
        const addresses = outcome.addresses.map(found => ({ ...found, name: candidate.name }));
        return { ...outcome, addresses, until };
      }
      if (!isKnowledge(outcome)) return outcome;
      failures.add(candidate, outcome.failure);
      detail = outcome.detail || detail;
    }
    const failure = failures.verdict;
    if (failure === 'not-found') detail = '';
    if (failure === 'no-address') detail = family === undefined ? '' : `IPv${family}`;
    return { addresses: [], weight: 0, failure, detail, until };
  }

  /** One name of the list. */
  async #ask(name: string, family: 4 | 6 | undefined): Promise<Outcome> {
    const { questions } = this.#options;
    if (family !== undefined) return questions.ask(name, family);
    const asked = [questions.ask(name, 4), questions.ask(name, 6)] as const;
    const first = await Promise.race(asked);
    if (first.failure !== undefined) return this.#joined(await Promise.all(asked));
    const both = await within(RESOLUTION_DELAY_MS, Promise.all(asked));
    return this.#joined(both ?? [first, { ...first, addresses: [], until: this.#options.now() + FAILED_MS }]);
  }

  #joined(both: readonly [Outcome, Outcome]): Outcome {
    const { ipv6First, usable } = this.#options;
    const [a, b] = both;
    const until = Math.min(a.until, b.until);
    const addresses = inTurn([...a.addresses, ...b.addresses], firstFamily(ipv6First, usable));
    if (addresses.length > 0) return { addresses, weight: addresses.length, detail: '', until };
    const worse = PRECEDENCE.indexOf(a.failure!) < PRECEDENCE.indexOf(b.failure!) ? a : b;
    return { ...worse, until };
  }
}

/** Of the failures of two families, the one that leaves more open. */
const PRECEDENCE: readonly ResolveFailure[] = [
  'closed',
  'busy',
  'timed-out',
  'server-failed',
  'no-address',
  'not-found',
];

/** What a promise gives within so many milliseconds; else undefined. */
async function within<T>(timeout: number, promise: Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>(resolve => {
    timer = setTimeout(resolve, timeout, undefined).unref();
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
