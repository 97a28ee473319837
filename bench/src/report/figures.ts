import type { Summary } from '../statistics/summary.ts';

/** In the place of a number that there is none of. */
export const NO_VALUE = '–';

/** `5.21 (4.87 … 5.43)`, the median and the extremes; of a single sample only itself. */
export function formatSummary(summary: Summary | undefined, digits: number): string {
  if (!summary) return NO_VALUE;
  const { median, least, most, count } = summary;
  if (count === 1) return median.toFixed(digits);
  return `${median.toFixed(digits)} (${least.toFixed(digits)} … ${most.toFixed(digits)})`;
}

/** Three figures that count, and no exponent: `1526`, `0.630`, `0.00412`. */
export function threeFigures(value: number): string {
  const magnitude = value === 0 ? 0 : Math.floor(Math.log10(Math.abs(value)));
  return value.toFixed(Math.max(0, 2 - magnitude));
}
