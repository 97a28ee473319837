import { expect, it } from 'vitest';
import { remembered } from './remembered.ts';

it('one answer is for all who ask meanwhile, and for as long as it holds', async () => {
  let made = 0;
  let now = 0;
  const ask = remembered(
    async () => ++made,
    () => 10,
    () => now,
  );
  expect(await Promise.all([ask(), ask()])).toEqual([1, 1]);
  now = 9;
  expect(await ask()).toBe(1);
  now = 10;
  expect(await ask()).toBe(2);
});

it('how long depends on the answer', async () => {
  let now = 0;
  const answers = ['bad', 'good', 'good'];
  const ask = remembered(
    async () => answers.shift(),
    answer => (answer === 'bad' ? 1 : 5),
    () => now,
  );
  expect(await ask()).toBe('bad');
  now = 1;
  expect(await ask()).toBe('good');
  now = 5;
  expect(answers).toHaveLength(1);
  expect(await ask()).toBe('good');
  expect(answers).toHaveLength(1);
});

it('a failure is told to those who wait, and not remembered', async () => {
  let made = 0;
  const ask = remembered(
    async () => {
      if (++made === 1) throw new Error('once');
      return made;
    },
    () => 10,
    () => 0,
  );
  expect(await Promise.allSettled([ask(), ask()])).toMatchObject([{ status: 'rejected' }, { status: 'rejected' }]);
  expect(await ask()).toBe(2);
});
