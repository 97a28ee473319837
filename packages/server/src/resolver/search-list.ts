import { type DnsName, within } from '@podsocks/shared/dns/dns-name';
import type { ResolveFailure } from './failure.ts';

/** A name to be asked for, and whether it is the one that was given. */
export interface Candidate {
  readonly name: string;
  readonly asGiven: boolean;
}

/** What the search list is to a name. */
export interface SearchRules {
  readonly search: readonly string[];
  readonly ndots: number;
}

/**
 * The names to be asked for, in this order, as glibc's res_search does it: a name with a trailing dot alone; one with
 * `ndots` dots or more as it is, then in each domain; any other in each domain, then as it is. The root in the search
 * list is the place where the name as it is gets its turn.
 */
export function candidates({ text, absolute }: DnsName, { search, ndots }: SearchRules): Candidate[] {
  const given: Candidate = { name: text, asGiven: true };
  if (absolute) return [given];
  const dots = text.split('.').length - 1;
  const searched = search.flatMap(domain => {
    const name = within(text, domain);
    return name === undefined ? [] : [{ name, asGiven: domain === '' }];
  });
  if (dots >= ndots) return [given, ...searched.filter(({ asGiven }) => !asGiven)];
  return searched.some(({ asGiven }) => asGiven) ? searched : [...searched, given];
}

/**
 * What the failures of candidates mean for what is asked next and is said in the end. In glibc's order: the failure of a
 * name that was tried as given first; else that one of them exists; else that a server failed; else the last one.
 */
export class SearchFailures {
  #first: ResolveFailure | undefined;
  #last: ResolveFailure = 'not-found';
  readonly #seen = new Set<ResolveFailure>();
  #stopped = false;

  /** Whether this one is to be asked: after a time-out no more domains are, else each would take its own. */
  wants({ asGiven }: Candidate): boolean {
    return asGiven || !this.#stopped;
  }

  add({ asGiven }: Candidate, failure: ResolveFailure): void {
    if (asGiven && this.#seen.size === 0) this.#first = failure;
    this.#last = failure;
    this.#seen.add(failure);
    if (!asGiven && failure !== 'not-found' && failure !== 'no-address' && failure !== 'server-failed') {
      this.#stopped = true;
    }
  }

  get verdict(): ResolveFailure {
    if (this.#first !== undefined) return this.#first;
    return PRECEDENCE.find(failure => this.#seen.has(failure)) ?? this.#last;
  }
}

const PRECEDENCE: readonly ResolveFailure[] = ['no-address', 'server-failed', 'timed-out'];
