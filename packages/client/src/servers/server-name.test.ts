import { expect, it } from 'vitest';
import { serverName } from './server-name.ts';

it.each([
  [undefined, undefined],
  ['', undefined],
  ['\u001b\u202e', undefined],
  ['Köln 1', 'Köln 1'],
  ['a\u001b[2J\nb\u009b\u202ec', 'a[2Jbc'],
  ['c'.repeat(100), 'c'.repeat(64)],
])('of %j a terminal may have %j', (given, name) => {
  expect(serverName(given)).toBe(name);
});
