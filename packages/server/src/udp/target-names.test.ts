import type { LookupAddress, LookupOptions } from 'node:dns';
import type { LookupFunction } from 'node:net';
import { describe, expect, it } from 'vitest';
import { TargetNames } from './target-names.ts';

type Settle = (found: Error | readonly LookupAddress[]) => void;

/** Names whose resolver the test is. */
function names(family?: 4 | 6) {
  const asked: { readonly name: string; readonly options: LookupOptions; readonly settle: Settle }[] = [];
  const clock = { ms: 0 };
  const lookup: LookupFunction = (name, options, callback) => {
    const settle: Settle = found => {
      if (found instanceof Error) callback(found, []);
      else callback(null, [...found]);
    };
    asked.push({ name, options: options as LookupOptions, settle });
  };
  return { names: new TargetNames({ lookup, family, now: () => clock.ms }), asked, clock };
}

const V4 = { address: '192.0.2.1', family: 4 } as const;
const V6 = { address: '2001:db8::1', family: 6 } as const;
const NOT_FOUND = Object.assign(new Error('getaddrinfo ENOTFOUND'), { code: 'ENOTFOUND' });

describe('a name', () => {
  it('is looked up once for all who ask meanwhile, and known at once for ten seconds', async () => {
    const { names: own, asked, clock } = names();
    const [first, second] = [own.find('a.example', 'ada'), own.find('a.example', 'ada')];
    expect(asked.map(({ name }) => name)).toEqual(['a.example']);
    asked[0]!.settle([V4, V6]);
    expect(await first).toEqual(V4);
    expect(await second).toEqual(V4);
    clock.ms = 9_999;
    expect(own.find('a.example', 'ada')).toEqual(V4);
    expect(asked).toHaveLength(1);
    clock.ms = 10_000;
    const again = own.find('a.example', 'ada');
    expect(asked).toHaveLength(2);
    asked[1]!.settle([V6]);
    expect(await again).toEqual(V6);
    clock.ms = 19_999;
    expect(own.find('a.example', 'ada')).toEqual(V6);
  });

  it.each([
    ['fails', NOT_FOUND],
    ['has no address', []],
  ] as const)('that %s is known to, for two seconds, and rejects nobody', async (_, outcome) => {
    const { names: own, asked, clock } = names();
    const failed = own.find('nothing.example', 'ada');
    asked[0]!.settle(outcome);
    expect(await failed).toBe('name');
    clock.ms = 1_999;
    expect(own.find('nothing.example', 'ada')).toBe('name');
    expect(asked).toHaveLength(1);
    clock.ms = 2_000;
    const found = own.find('nothing.example', 'ada');
    asked[1]!.settle([V4]);
    expect(await found).toEqual(V4);
  });

  it.each([
    [undefined, { all: true }],
    [4, { all: true, family: 4 }],
    [6, { all: true, family: 6 }],
  ] as const)('is asked for in the family %s', (family, options) => {
    const { names: own, asked } = names(family);
    void own.find('a.example', 'ada');
    expect(asked[0]!.options).toEqual(options);
  });
});

describe('of many names', () => {
  it('four of one user are looked up at a time, eight of all, and the others are told to come again', async () => {
    const { names: own, asked } = names();
    const found = Array.from({ length: 8 }, (_, index) => own.find(`${index}.example`, index < 4 ? 'ada' : 'ben'));
    for (const answer of found) expect(answer).toBeInstanceOf(Promise);
    expect(own.find('8.example', 'cy')).toBe('busy');
    expect(own.find('3.example', 'ada')).toBe(found[3]); // who asks for one of them waits with the others
    expect(asked).toHaveLength(8);

    asked[5]!.settle(NOT_FOUND);
    expect(await found[5]).toBe('name');
    expect(own.find('8.example', 'ada')).toBe('busy'); // her four are still asked for
    const ninth = own.find('8.example', 'ben');
    asked[8]!.settle([V4]);
    expect(await ninth).toEqual(V4);
    void own.find('9.example', 'ben');
    expect(own.find('10.example', 'cy')).toBe('busy');
  });

  it('those that are known are found though the resolver is busy', async () => {
    const { names: own, asked } = names();
    const known = own.find('known.example', 'ada');
    asked[0]!.settle([V4]);
    await known;
    for (let count = 0; count < 100; count++) void own.find(`${count}.example`, 'ada');
    expect(own.find('known.example', 'ada')).toEqual(V4);
    expect(asked).toHaveLength(5);
  });

  it('4096 are known, and the ones that were looked up first are forgotten', async () => {
    const { names: own, asked } = names();
    const learn = async (name: string) => {
      const found = own.find(name, 'ada');
      asked.at(-1)!.settle([V4]);
      await found;
    };
    for (let count = 0; count < 4096; count++) await learn(`${count}.example`);
    expect(own.find('0.example', 'ada')).toEqual(V4);
    await learn('one more.example');
    expect(own.find('1.example', 'ada')).toEqual(V4);
    expect(own.find('0.example', 'ada')).toBeInstanceOf(Promise);
    expect(asked).toHaveLength(4098);
  });

  it('one that is looked up again is the youngest', async () => {
    const { names: own, asked, clock } = names();
    const learn = async (name: string) => {
      const found = own.find(name, 'ada');
      asked.at(-1)!.settle([V4]);
      await found;
    };
    await learn('first.example');
    for (let count = 0; count < 4095; count++) await learn(`${count}.example`);
    clock.ms = 10_000;
    await learn('first.example');
    await learn('one more.example');
    expect(own.find('first.example', 'ada')).toEqual(V4);
  });
});
