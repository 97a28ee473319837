import type { Contestant } from '../contestants.ts';
import type { PairPlace } from '../pair.ts';
import type { BarChart } from '../report/bar-chart.ts';
import type { Table } from '../report/markdown-table.ts';
import { type Summary, summarize } from '../statistics/summary.ts';

/**
 * One thing that is measured. A measure names its subjects; the run has each of them measured once in every round, in a new
 * order each time, and gives back all that came out to be shown.
 */
export interface Measure {
  /** What `--only` calls it. */
  readonly name: string;
  readonly title: string;
  /** What its numbers mean, in a sentence or two below the title. */
  readonly about: (quick: boolean) => string;
  /** Fewer rounds than the others have, where more would tell nothing new. */
  readonly mostRounds?: (quick: boolean) => number;
  /** How long one subject takes, about, in seconds; the estimate of the time left starts with it. */
  readonly secondsEach: (quick: boolean) => number;
  readonly subjects: (context: Context) => Subject[];
  readonly tables: (result: MeasureResult) => Table[];
  readonly charts: (result: MeasureResult) => BarChart[];
}

/** What a measure may use. */
export interface Context extends PairPlace {
  readonly quick: boolean;
  readonly contestants: readonly Contestant[];
}

/** What is compared with others of the same measure. */
export interface Subject extends SubjectName {
  readonly measure: () => Promise<Values>;
}

export interface SubjectName {
  /** The Shadowsocks method, where there is one. */
  readonly method: string;
  readonly name: string;
}

/** Numbers by what they are, unit included: `connections/s`. */
export type Values = Readonly<Record<string, number>>;

export interface Sample {
  /** From 1. */
  readonly round: number;
  /** The place in the order of that round, from 1. */
  readonly position: number;
  readonly values: Values;
}

export interface SubjectResult extends SubjectName {
  readonly samples: readonly Sample[];
  /** Why there are no more samples. */
  readonly failure?: string;
}

export interface MeasureResult {
  readonly name: string;
  readonly title: string;
  readonly about: string;
  readonly subjects: readonly SubjectResult[];
}

/** The samples of one value; undefined where the subject has none. */
export function summaryOf({ samples }: SubjectResult, key: string): Summary | undefined {
  return summarize(samples.flatMap(({ values }) => values[key] ?? []));
}

/** The values of one key by their rounds. */
export function byRound({ samples }: SubjectResult, key: string): Map<number, number> {
  return new Map(samples.flatMap(({ round, values }) => (key in values ? [[round, values[key]!] as const] : [])));
}
