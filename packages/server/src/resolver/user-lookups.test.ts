import type { LookupFunction } from 'node:net';
import { expect, it } from 'vitest';
import { UserLookups } from './user-lookups.ts';

/** A lookup whose answers the test gives. */
function lookups(most: number) {
  const asked: (() => void)[] = [];
  const lookup: LookupFunction = (_, __, callback) => void asked.push(() => callback(null, '10.0.0.1', 4));
  const shares = new UserLookups(lookup, most);
  const ask = (user: string) =>
    new Promise<string>(resolve => {
      shares.of(user)('web', {}, (error, address) => resolve(error?.code ?? String(address)));
    });
  return { asked, ask };
}

it('lets a user have so many names looked up at a time, and others theirs', async () => {
  const { asked, ask } = lookups(2);
  const pending = [ask('ada'), ask('ada')];
  expect(await ask('ada')).toBe('EBUSY');
  const other = ask('ben');
  expect(asked).toHaveLength(3);
  for (const answer of asked) answer();
  expect(await Promise.all([...pending, other])).toEqual(['10.0.0.1', '10.0.0.1', '10.0.0.1']);
  const again = ask('ada');
  asked[3]!();
  expect(await again).toBe('10.0.0.1');
});
