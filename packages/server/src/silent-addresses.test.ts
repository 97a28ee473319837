import { expect, it } from 'vitest';
import { SilentAddresses } from './silent-addresses.ts';

const [a, b, c] = ['10.0.0.1', '10.0.0.2', '10.0.0.3'].map(address => ({ address }));

it('those that did not answer come last for a while, by port, and in their order', () => {
  let now = 0;
  const silent = new SilentAddresses(() => now);
  expect(silent.last([a!, b!, c!], 80)).toEqual([a, b, c]);
  silent.note('10.0.0.1', 80);
  expect(silent.last([a!, b!, c!], 80)).toEqual([b, c, a]);
  expect(silent.last([a!, b!, c!], 81)).toEqual([a, b, c]);
  now = 5_000;
  silent.note('10.0.0.2', 80);
  expect(silent.last([a!, b!, c!], 80)).toEqual([c, a, b]);
  now = 10_000;
  expect(silent.last([a!, b!, c!], 80)).toEqual([a, c, b]);
});

it('so many are remembered, the youngest', () => {
  const silent = new SilentAddresses(() => 0);
  for (let port = 1; port <= 4097; port++) silent.note('10.0.0.1', port);
  expect(silent.last([a!, b!], 1)).toEqual([a, b]);
  expect(silent.last([a!, b!], 2)).toEqual([b, a]);
});
