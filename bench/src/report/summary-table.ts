import { type MeasureResult, summaryOf } from '../measures/measure.ts';
import { formatSummary } from './figures.ts';
import type { Table } from './markdown-table.ts';

export interface Column {
  readonly title: string;
  /** Of the samples' values. */
  readonly key: string;
  /** After the decimal point. */
  readonly digits: number;
}

/** One row for each subject that has any of these values or has failed: medians with the least and the most. */
export function summaryTable(title: string, { subjects }: MeasureResult, columns: readonly Column[]): Table {
  const rows = subjects.flatMap(subject => {
    const summaries = columns.map(({ key }) => summaryOf(subject, key));
    if (!subject.failure && summaries.every(summary => summary === undefined)) return [];
    const cells = summaries.map((summary, index) => formatSummary(summary, columns[index]!.digits));
    return [[subject.method, subject.failure ? `${subject.name} (failed)` : subject.name, ...cells]];
  });
  return { title, words: 2, header: ['method', 'client and server', ...columns.map(column => column.title)], rows };
}
