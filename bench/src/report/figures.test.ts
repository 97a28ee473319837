import { describe, expect, it } from 'vitest';
import { formatSummary, threeFigures } from './figures.ts';

describe('formatSummary', () => {
  it('gives the median with the extremes', () => {
    expect(formatSummary({ median: 5.206, least: 4.87, most: 5.4, count: 3 }, 2)).toBe('5.21 (4.87 … 5.40)');
  });

  it('leaves out the extremes of a single sample, and has a dash for none', () => {
    expect(formatSummary({ median: 5, least: 5, most: 5, count: 1 }, 1)).toBe('5.0');
    expect(formatSummary(undefined, 1)).toBe('–');
  });
});

it.each([
  [1526.4, '1526'],
  [152.6, '153'],
  [15.26, '15.3'],
  [1.526, '1.53'],
  [0.63, '0.630'],
  [0.004123, '0.00412'],
  [0, '0.00'],
])('threeFigures(%d) is %s', (value, expected) => {
  expect(threeFigures(value)).toBe(expected);
});
