import type { Summary } from '../statistics/summary.ts';

/** Horizontal bars in groups, one scale for all, with the least and the most of each as a whisker. */
export interface BarChart {
  /** Without `.svg`. */
  readonly file: string;
  readonly title: string;
  /** Of the numbers at the bars. */
  readonly digits: number;
  readonly series: readonly Series[];
  /** Where series are stacked: what their sums are, which get whisker and number. */
  readonly totals?: readonly { readonly stack: string; readonly key: string }[];
  readonly groups: readonly Group[];
}

interface Series {
  readonly name: string;
  readonly key: string;
  readonly stack?: string;
}

export interface Group {
  readonly title: string;
  readonly bars: readonly { readonly label: string; readonly valueOf: (key: string) => Summary | undefined }[];
}
