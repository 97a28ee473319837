import type { LookupFunction } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { expect, it, onTestFinished, vi } from 'vitest';
import { UserLookups } from './user-lookups.ts';

/** A lookup whose answers the test gives, and of which it knows one. */
function lookups(most: number) {
  const asked: { readonly name: string; readonly answer: () => void }[] = [];
  const lookup: LookupFunction = (name, _, callback) => {
    if (name === 'known') callback(null, '10.0.0.9', 4);
    else asked.push({ name, answer: () => callback(null, '10.0.0.1', 4) });
  };
  const shares = new UserLookups({ lookup, isKnown: name => name === 'known', most, patience: 5_000 });
  const ask = (user: string, name: string) =>
    new Promise<string>(resolve => {
      shares.of(user)(name, {}, (error, address) => resolve(error?.code ?? String(address)));
    });
  const names = async () => {
    await setImmediate();
    return asked.map(({ name }) => name);
  };
  return { shares, asked, ask, names };
}

it('looks up so many names of a user at a time, those that came later in turn, and those of others meanwhile', async () => {
  const { asked, ask, names } = lookups(2);
  const pending = ['a', 'b', 'c', 'd'].map(name => ask('ada', name));
  const other = ask('ben', 'x');
  expect(await names()).toEqual(['a', 'b', 'x']);
  asked[1]!.answer();
  expect(await names()).toEqual(['a', 'b', 'x', 'c']);
  for (const index of [0, 2, 3]) asked[index]!.answer();
  expect(await names()).toEqual(['a', 'b', 'x', 'c', 'd']);
  asked[4]!.answer();
  expect(await Promise.all([...pending, other])).toEqual(new Array(5).fill('10.0.0.1'));
});

it('counts a name once, however many want it', async () => {
  const { asked, ask, names } = lookups(2);
  const many = Array.from({ length: 500 }, (_, i) => ask('ada', i % 2 ? 'web' : 'WEB'));
  const another = ask('ada', 'db');
  expect(new Set(await names())).toEqual(new Set(['web', 'WEB', 'db']));
  expect(asked).toHaveLength(501);
  for (const { answer } of asked) answer();
  expect(new Set(await Promise.all([...many, another]))).toEqual(new Set(['10.0.0.1']));
});

it('answers what is known at once, also while the user waits for other names', async () => {
  const { ask } = lookups(1);
  void ask('ada', 'slow');
  void ask('ada', 'slower');
  expect(await ask('ada', 'known')).toBe('10.0.0.9');
});

it('gives up a name whose turn does not come', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  onTestFinished(() => void vi.useRealTimers());
  const { asked, ask, names } = lookups(1);
  const first = ask('ada', 'never');
  const second = ask('ada', 'second');
  await names();
  vi.advanceTimersByTime(5_000);
  expect(await second).toBe('EBUSY');
  asked[0]!.answer();
  expect(await first).toBe('10.0.0.1');
  const again = ask('ada', 'second');
  expect(await names()).toEqual(['never', 'second']);
  asked[1]!.answer();
  expect(await again).toBe('10.0.0.1');
  expect(vi.getTimerCount()).toBe(0);
});

it('lets no more wait than will ever have their turn', async () => {
  const { asked, ask } = lookups(1);
  const all = Array.from({ length: 1026 }, (_, i) => ask('ada', `n${i}`));
  expect(await all[1025]).toBe('EBUSY');
  for (let i = 0; i < 1025; i++) {
    await setImmediate();
    asked[i]!.answer();
  }
  expect((await Promise.all(all)).filter(answer => answer === '10.0.0.1')).toHaveLength(1025);
});

it('counts what is asked for by another way in the same share', async () => {
  const { shares, asked, ask, names } = lookups(1);
  let answer!: (text: string) => void;
  const other = shares.ask('ada', 'web', () => new Promise<string>(resolve => (answer = resolve)));
  const pending = ask('ada', 'db');
  expect(await names()).toEqual([]);
  answer('10.0.0.2');
  expect(await other).toBe('10.0.0.2');
  expect(await names()).toEqual(['db']);
  asked[0]!.answer();
  expect(await pending).toBe('10.0.0.1');
  await expect(shares.ask('ada', 'web', () => Promise.reject(new Error('down')))).rejects.toThrow('down');
  expect(await shares.ask('ada', 'web', () => Promise.resolve('up'))).toBe('up');
});

it('counts each time that it is asked by another way, of one name too', async () => {
  const { shares, ask, names } = lookups(2);
  void shares.ask('ada', 'web', () => new Promise(() => {}));
  void shares.ask('ada', 'web', () => new Promise(() => {}));
  void ask('ada', 'web');
  void ask('ben', 'db');
  expect(await names()).toEqual(['db']);
});
