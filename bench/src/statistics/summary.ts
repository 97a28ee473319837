/** What many samples of one quantity come to, in the quantity's own unit. */
export interface Summary {
  readonly median: number;
  readonly least: number;
  readonly most: number;
  readonly count: number;
}

/** The median and the extremes of samples; undefined when there is none. */
export function summarize(samples: readonly number[]): Summary | undefined {
  if (samples.length === 0) return undefined;
  const sorted = [...samples].sort((a, b) => a - b);
  return { median: middle(sorted), least: sorted[0]!, most: sorted.at(-1)!, count: sorted.length };
}

function middle(sorted: readonly number[]): number {
  const half = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2;
}

/**
 * The smallest sample that at least this part of all samples do not exceed (nearest rank).
 *
 * @param part above 0 and at most 1: 0.99 for p99.
 */
export function percentile(samples: readonly number[], part: number): number {
  if (samples.length === 0) throw new RangeError('a percentile of no samples');
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.ceil(part * sorted.length) - 1]!;
}
