import { describe, expect, it } from 'vitest';
import { percentile, summarize } from './summary.ts';

describe('summarize', () => {
  it('has nothing to say about no samples', () => {
    expect(summarize([])).toBeUndefined();
  });

  it.each([
    [[7], { median: 7, least: 7, most: 7, count: 1 }],
    [[10, 9, 100], { median: 10, least: 9, most: 100, count: 3 }],
    [[4, 1, 3, 2], { median: 2.5, least: 1, most: 4, count: 4 }],
  ])('of %j', (samples, expected) => {
    expect(summarize(samples)).toEqual(expected);
  });

  it('leaves the samples in their order', () => {
    const samples = [3, 1, 2];
    summarize(samples);
    expect(samples).toEqual([3, 1, 2]);
  });
});

describe('percentile', () => {
  const hundred = Array.from({ length: 100 }, (_, index) => 100 - index);

  it.each([
    [0.5, 50],
    [0.99, 99],
    [1, 100],
    [0.001, 1],
  ])('%d of 1 … 100 is %d', (part, expected) => {
    expect(percentile(hundred, part)).toBe(expected);
  });

  it('of a single sample is that sample', () => {
    expect(percentile([4], 0.99)).toBe(4);
  });

  it('of nothing is refused', () => {
    expect(() => percentile([], 0.5)).toThrow(RangeError);
  });
});
