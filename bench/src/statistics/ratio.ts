import { type Summary, summarize } from './summary.ts';

/** Ours divided by theirs, over the rounds that both were measured in. */
export interface Ratio extends Summary {}

/**
 * The median, least and most of what `ours` is as a multiple of `theirs`, round by round: both of a round were measured within
 * moments of each other, so what slows the whole machine down for a while cancels out.
 *
 * @param ours by round; a round without a value is left out, and so is one where theirs is 0.
 */
export function ratioOf(ours: ReadonlyMap<number, number>, theirs: ReadonlyMap<number, number>): Ratio | undefined {
  const ratios: number[] = [];
  for (const [round, value] of ours) {
    const other = theirs.get(round);
    if (other !== undefined && other !== 0) ratios.push(value / other);
  }
  return summarize(ratios);
}
