import { type MeasureResult, type SubjectResult, summaryOf } from '../measures/measure.ts';
import type { Group } from './bar-chart.ts';

/** The subjects of a result, grouped by method, in their order. */
export function groupsOf({ subjects }: MeasureResult): Group[] {
  const groups = new Map<string, SubjectResult[]>();
  for (const subject of subjects) groups.set(subject.method, [...(groups.get(subject.method) ?? []), subject]);
  return [...groups].map(([title, members]) => ({
    title,
    bars: members.map(subject => ({ label: subject.name, valueOf: (key: string) => summaryOf(subject, key) })),
  }));
}
