import { expect, test } from 'vitest';
import { BackOff } from './back-off.ts';

test('waits longer each time, up to half a minute', () => {
  const backOff = new BackOff();
  const delays = Array.from({ length: 11 }, () => backOff.after(59_999));
  expect(delays).toEqual([100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000, 30_000]);
});

test('begins anew when one has lived for a minute', () => {
  const backOff = new BackOff();
  const lives = [0, 0, 0, 60_000, 0, 1_000_000];
  expect(lives.map(lived => backOff.after(lived))).toEqual([100, 200, 400, 100, 200, 100]);
});
