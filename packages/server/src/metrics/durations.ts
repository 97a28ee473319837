/** Upper bounds of the buckets of {@link Durations}, in milliseconds; a last one has all that took longer. */
export const DURATION_BOUNDS_MS = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000] as const;

/** How long something took, each time. The same form as the latencies of a resolver have. */
export class Durations {
  count = 0;
  /** Milliseconds. */
  sum = 0;
  /** Not cumulative; one more than there are bounds. */
  readonly buckets = new Array<number>(DURATION_BOUNDS_MS.length + 1).fill(0);

  /** @param elapsed milliseconds. */
  took(elapsed: number): void {
    const bucket = DURATION_BOUNDS_MS.findIndex(bound => elapsed <= bound);
    this.count++;
    this.sum += elapsed;
    this.buckets[bucket < 0 ? DURATION_BOUNDS_MS.length : bucket]!++;
  }
}
