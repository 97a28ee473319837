import { isPartial, type Options } from '../arguments.ts';
import type { Machine, PeerFacts } from '../facts.ts';
import type { Measure, MeasureResult } from '../measures/measure.ts';
import { markdownTable, type Table } from './markdown-table.ts';
import { type Comparison, ratioTables } from './ratios.ts';

/** All that a run has found out: what latest.json holds. */
export interface Report {
  /** Of this structure; counts up when it changes. */
  readonly format: 1;
  readonly options: Omit<Options, 'out'>;
  readonly machine: Machine;
  readonly pinning: string;
  readonly implementations: readonly Omit<PeerFacts, 'paths'>[];
  /** What was left out and why. */
  readonly leftOut: readonly string[];
  readonly measures: readonly MeasureResult[];
  readonly ratios: readonly Comparison[];
}

/** The report as Markdown that is readable as plain text, too. */
export function markdownReport(report: Report, measures: readonly Measure[]): string {
  const { machine, pinning, implementations, leftOut, ratios, options } = report;
  const failures = report.measures.flatMap(({ name, subjects }) =>
    subjects.flatMap(subject =>
      subject.failure === undefined ? [] : [`${name}, ${labelOf(subject)}: failed: ${oneLine(subject.failure)}`],
    ),
  );
  const sections = report.measures.flatMap(result => {
    const measure = measures.find(({ name }) => name === result.name)!;
    return [`## ${result.title}`, result.about, ...measure.tables(result).flatMap(section)];
  });
  return `${[
    `# ${titleOf(options)}`,
    list([
      `${machine.date}; rounds: ${options.rounds}; in each cell the median of rounds (least … most)`,
      `${machine.cpu}, ${machine.cpus} CPUs (${machine.instructions.join(' ')}), ${machine.memoryGib} GiB; Linux ${machine.kernel}`,
      `Node ${machine.node} with OpenSSL ${machine.nodeOpenssl}; on PATH ${machine.openssl}`,
      `load average before: ${machine.loadBefore.toFixed(2)}`,
      pinning,
    ]),
    '## Programs',
    list([
      ...implementations.map(({ implementation, version, built }) => `${implementation} ${version}: ${built}`),
      ...leftOut.map(words => `left out: ${words}`),
    ]),
    ...(failures.length > 0 ? ['## Failures', list(failures)] : []),
    ...(ratios.length > 0 ? ['## Ratios', RATIO_WORDS, ...ratioTables(ratios).flatMap(section)] : []),
    ...sections,
  ].join('\n\n')}\n`;
}

const RATIO_WORDS =
  'Medians of ours and of theirs, and what ours divided by theirs is in each round: the median (least … most).';

function titleOf(options: Report['options']): string {
  if (options.quick) return 'A quick run: rough numbers';
  return isPartial(options) ? 'Part of the benchmark' : 'Benchmark';
}

function section(table: Table): string[] {
  return table.rows.length === 0 ? [] : [`### ${table.title}`, markdownTable(table)];
}

function list(items: readonly string[]): string {
  return items.map(item => `- ${item}`).join('\n');
}

function labelOf({ method, name }: { readonly method: string; readonly name: string }): string {
  return method === '' ? name : `${method}, ${name}`;
}

function oneLine(text: string): string {
  return text.replaceAll(/\s*\n\s*/g, ' / ');
}
