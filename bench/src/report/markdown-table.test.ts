import { expect, it } from 'vitest';
import { markdownTable } from './markdown-table.ts';

it('aligns words to the left and numbers to the right, also in plain text', () => {
  const table = {
    title: 'Rates',
    header: ['pair', 'Gbit/s'],
    rows: [
      ['a long name', '4.5'],
      ['b', '12.25'],
    ],
    words: 1,
  };
  expect(markdownTable(table)).toBe(
    [
      '| pair        | Gbit/s |',
      '|-------------|-------:|',
      '| a long name |    4.5 |',
      '| b           |  12.25 |',
    ].join('\n'),
  );
});

it('fills short rows and keeps every cell on its line and in its column', () => {
  const table = { title: '', header: ['a', 'b'], rows: [['x|y\nz']], words: 1 };
  expect(markdownTable(table).split('\n')[2]).toBe('| x\\|y z |     |');
});

it('counts a character beyond the basic plane as one', () => {
  const table = { title: '', header: ['name'], rows: [['𝟙 … →']], words: 1 };
  const lines = markdownTable(table).split('\n');
  expect(lines[2]).toBe('| 𝟙 … → |');
  expect([...lines[1]!].length).toBe([...lines[2]!].length);
});
