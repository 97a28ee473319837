/** A table under a heading; the first columns hold words, the others numbers. */
export interface Table {
  readonly title: string;
  readonly header: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** How many columns hold words, and so are aligned to the left. */
  readonly words: number;
}

/** The table as Markdown whose columns are aligned in plain text, too. */
export function markdownTable({ header, rows, words }: Table): string {
  const cells = [header, ...rows].map(row => row.map(escapeCell));
  const widths = header.map((_, column) => Math.max(3, ...cells.map(row => width(row[column] ?? ''))));
  const isWords = (column: number) => column < words;
  const line = (row: readonly string[]) =>
    `| ${widths.map((size, column) => pad(row[column] ?? '', size, isWords(column))).join(' | ')} |`;
  const rule = `|${widths
    .map((size, column) => (isWords(column) ? '-'.repeat(size + 2) : `${'-'.repeat(size + 1)}:`))
    .join('|')}|`;
  return [line(cells[0]!), rule, ...cells.slice(1).map(line)].join('\n');
}

function pad(text: string, size: number, left: boolean): string {
  const space = ' '.repeat(size - width(text));
  return left ? text + space : space + text;
}

/** Everything printed here is one column wide for each code point. */
function width(text: string): number {
  return [...text].length;
}

function escapeCell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ');
}
