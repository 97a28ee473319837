import { beforeEach, expect, it, vi } from 'vitest';
import type { Context, Measure } from './measures/measure.ts';
import { runMeasures } from './run.ts';

beforeEach(() => {
  vi.spyOn(console, 'error').mockImplementation(() => {});
});

const context = { quick: false } as Context;
const plain = { title: '', about: () => '', secondsEach: () => 1, tables: () => [], charts: () => [] };

function counting(name: string, subjects: readonly string[], order: string[]): Measure {
  return {
    ...plain,
    name,
    subjects: () =>
      subjects.map(subject => ({
        method: 'm',
        name: subject,
        measure: async () => {
          order.push(subject);
          return { count: order.length };
        },
      })),
  };
}

it('measures every subject once in every round, before the next round begins', async () => {
  const order: string[] = [];
  const [result] = await runMeasures([counting('bulk', ['a', 'b', 'c'], order)], context, 4);
  expect(order).toHaveLength(12);
  for (let round = 0; round < 4; round++) {
    expect(order.slice(round * 3, round * 3 + 3).sort()).toEqual(['a', 'b', 'c']);
  }
  for (const { samples } of result!.subjects) expect(samples.map(({ round }) => round)).toEqual([1, 2, 3, 4]);
});

it('stops early with a measure that needs fewer rounds', async () => {
  const order: string[] = [];
  const short = { ...counting('memory', ['short'], order), mostRounds: () => 2 };
  await runMeasures([short, counting('bulk', ['long'], order)], context, 3);
  expect(order).toEqual(['short', 'long', 'short', 'long', 'long']);
});

it('goes on without a subject that failed, and says why', async () => {
  const order: string[] = [];
  const measure = counting('bulk', ['good'], order);
  const failing = {
    method: 'm',
    name: 'bad',
    measure: () => {
      order.push('bad');
      return Promise.reject(new Error('it broke'));
    },
  };
  const mixed = { ...measure, subjects: (given: Context) => [failing, ...measure.subjects(given)] };
  const [result] = await runMeasures([mixed], context, 3);
  expect(order.filter(name => name === 'bad')).toHaveLength(1);
  expect(result!.subjects).toMatchObject([
    { name: 'bad', samples: [], failure: 'round 1: it broke' },
    { name: 'good', samples: [{ round: 1 }, { round: 2 }, { round: 3 }] },
  ]);
  expect(result!.subjects[1]).not.toHaveProperty('failure');
});
