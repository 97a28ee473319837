import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Measure } from '../measures/measure.ts';
import { drawChart } from './draw-chart.ts';
import { markdownReport, type Report } from './report.ts';

/** Writes latest.json, latest.md and the charts into a directory; charts of measures that this run left out are removed. */
export function writeResults(directory: string, report: Report, measures: readonly Measure[]): void {
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, 'latest.json'), `${JSON.stringify(report, null, 1)}\n`);
  writeFileSync(join(directory, 'latest.md'), markdownReport(report, measures));
  for (const measure of measures) {
    const result = report.measures.find(({ name }) => name === measure.name);
    for (const chart of measure.charts(result ?? { name: measure.name, title: '', about: '', subjects: [] })) {
      const path = join(directory, `${chart.file}.svg`);
      if (result) writeFileSync(path, drawChart(chart));
      else rmSync(path, { force: true });
    }
  }
}
