import { noFailures, type ResolveFailure } from './failure.ts';

/** Upper bounds of the buckets of {@link ResolverStats.latency}, in milliseconds; a last one has all that took longer. */
export const LATENCY_BOUNDS_MS = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000] as const;

/** What a resolver has done since it was made. All are counts, unless they say otherwise. */
export class ResolverStats {
  /** Names that somebody asked the resolver for, and those of them that were known. */
  names = 0;
  known = 0;
  /** Messages sent to servers, without those that were sent again because nothing came back. */
  readonly queries = { udp: 0, tcp: 0 };
  /** Queries after which another server had to be asked. */
  failovers = 0;
  /** Datagrams that came to a query's port without being its answer: guesses, if there are many. */
  foreign = 0;
  /** Names that could not be resolved, by why. Those that were remembered are counted again. */
  readonly failures: Record<ResolveFailure, number> = noFailures();
  /** How long names took that were not known, with all queries that they needed. */
  readonly latency = {
    count: 0,
    /** Milliseconds. */
    sum: 0,
    /** Not cumulative; one more than {@link LATENCY_BOUNDS_MS}. */
    buckets: new Array<number>(LATENCY_BOUNDS_MS.length + 1).fill(0),
  };

  /** @param elapsed milliseconds. */
  took(elapsed: number): void {
    const bucket = LATENCY_BOUNDS_MS.findIndex(bound => elapsed <= bound);
    this.latency.count++;
    this.latency.sum += elapsed;
    this.latency.buckets[bucket < 0 ? LATENCY_BOUNDS_MS.length : bucket]!++;
  }
}
