import type { Address } from '@podsocks/shared/dns/address';
import { describe, expect, it } from 'vitest';
import { resolveError } from '../resolver/failure.ts';
import { TargetNames } from './target-names.ts';

interface Asked {
  readonly name: string;
  readonly family: 4 | 6 | undefined;
  readonly answer: (found: readonly Address[]) => void;
  readonly fail: (error: Error) => void;
}

/** Names whose resolver the test is. */
function names(family?: 4 | 6) {
  const known = new Map<string, readonly Address[]>();
  const asked: Asked[] = [];
  const resolver = {
    known: (name: string) => known.get(name),
    resolve: (name: string, wanted?: 4 | 6) =>
      new Promise<readonly Address[]>((answer, fail) => {
        asked.push({ name, family: wanted, answer, fail });
      }),
  };
  return { names: new TargetNames(resolver, family, 64), known, asked };
}

const FOUND = [
  { address: '192.0.2.1', family: 4 },
  { address: '2001:db8::1', family: 6 },
] as const;

describe('a name', () => {
  it('that the resolver knows is found at once', () => {
    const { names: own, known, asked } = names();
    known.set('a.example', FOUND);
    expect(own.find('a.example', 'ada')).toBe(FOUND);
    expect(asked).toEqual([]);
  });

  it('that it does not know is asked for once for all who want it meanwhile', async () => {
    const { names: own, asked } = names();
    const [first, second] = [own.find('a.example', 'ada'), own.find('a.example', 'ben')];
    expect(asked.map(({ name }) => name)).toEqual(['a.example']);
    asked[0]!.answer(FOUND);
    expect([await first, await second]).toEqual([FOUND, FOUND]);
    void own.find('a.example', 'ada');
    expect(asked).toHaveLength(2);
  });

  it.each([
    ['not-found', 'name'],
    ['no-address', 'name'],
    ['server-failed', 'name'],
    ['timed-out', 'name'],
    ['busy', 'busy'],
  ] as const)('that fails as %s is dropped as %s, and rejects nobody', async (failure, reason) => {
    const { names: own, asked } = names();
    const found = own.find('nothing.example', 'ada');
    asked[0]!.fail(resolveError('nothing.example', failure));
    expect(await found).toBe(reason);
  });

  it.each([undefined, 4, 6] as const)('is asked for in the family %s', family => {
    const { names: own, asked } = names(family);
    void own.find('a.example', 'ada');
    expect(asked[0]!.family).toBe(family);
  });
});

describe('of many names', () => {
  it('32 of one user are asked for at a time, 64 of all, and the others are told to come again', async () => {
    const { names: own, asked } = names();
    const found = Array.from({ length: 64 }, (_, index) => own.find(`${index}.example`, index < 32 ? 'ada' : 'ben'));
    for (const answer of found) expect(answer).toBeInstanceOf(Promise);
    expect(own.find('64.example', 'cy')).toBe('busy');
    expect(own.find('3.example', 'cy')).toBe(found[3]); // who asks for one of them waits with the others

    asked[40]!.answer(FOUND);
    expect(await found[40]).toBe(FOUND);
    expect(own.find('64.example', 'ada')).toBe('busy'); // hers are still asked for
    expect(own.find('64.example', 'ben')).toBeInstanceOf(Promise);
    expect(own.find('65.example', 'cy')).toBe('busy');
  });

  it('those that are known are found though many are asked for', () => {
    const { names: own, known } = names();
    for (let count = 0; count < 100; count++) void own.find(`${count}.example`, 'ada');
    known.set('known.example', FOUND);
    expect(own.find('known.example', 'ada')).toBe(FOUND);
  });
});
