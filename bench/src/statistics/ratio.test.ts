import { expect, it } from 'vitest';
import { ratioOf } from './ratio.ts';

const byRound = (values: Record<number, number>) =>
  new Map(Object.entries(values).map(([round, value]) => [Number(round), value]));

it('compares values of the same round with each other', () => {
  const ratio = ratioOf(byRound({ 1: 6, 2: 3, 3: 9 }), byRound({ 3: 9, 2: 2, 1: 2 }));
  expect(ratio).toEqual({ median: 1.5, least: 1, most: 3, count: 3 });
});

it('leaves out rounds that one of the two has no value for', () => {
  expect(ratioOf(byRound({ 1: 4, 2: 100 }), byRound({ 1: 2, 3: 1 }))).toMatchObject({ median: 2, count: 1 });
});

it('is nothing without a common round, or against zero', () => {
  expect(ratioOf(byRound({ 1: 4 }), byRound({ 2: 4 }))).toBeUndefined();
  expect(ratioOf(byRound({ 1: 4 }), byRound({ 1: 0 }))).toBeUndefined();
});
