import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { AssociationTable } from './association-table.ts';

const IDLE_MS = 60_000;

/** Associations are their keys; what was removed is kept, with the reason. */
function table({ max = 100, idleTimeout = IDLE_MS } = {}) {
  const removed: { readonly key: string; readonly why: 'idle' | 'room' }[] = [];
  const associations = new AssociationTable<string, string>({
    max,
    idleTimeout,
    now: () => Date.now(),
    remove: (key, why) => removed.push({ key, why }),
  });
  const add = (key: string, user = 'alice') => associations.add(key, user, key);
  return { associations, removed, add, evicted: () => removed.splice(0).map(({ key }) => key) };
}

describe('the table of associations', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['Date', 'setInterval', 'clearInterval'] }));
  afterEach(() => void vi.useRealTimers());

  /** A second is the precision of the order. */
  const pass = (ms = 1000) => vi.advanceTimersByTime(ms);

  it('finds what was added, and nothing else', () => {
    const { associations, add } = table();
    add('a');
    expect(associations.use('a')).toBe('a');
    expect(associations.use('b')).toBeUndefined();
    associations.keep('b');
    expect(associations.size).toBe(1);
  });

  it('holds no more than its cap', () => {
    const { associations, add, removed } = table({ max: 3 });
    for (let count = 0; count < 10; count++) {
      add(`${count}`);
      expect(associations.size).toBe(Math.min(count + 1, 3));
    }
    expect(removed).toEqual(['0', '1', '2', '3', '4', '5', '6'].map(key => ({ key, why: 'room' })));
  });

  it('can be of one, also for users by turns', () => {
    const { associations, add, evicted } = table({ max: 1 });
    for (const [key, user] of [
      ['a', 'alice'],
      ['b', 'bob'],
      ['c', 'alice'],
      ['d', 'alice'],
    ] as const) {
      add(key, user);
      expect(associations.size).toBe(1);
      expect(associations.use(key)).toBe(key);
      pass();
    }
    expect(evicted()).toEqual(['a', 'b', 'c']);
    pass(IDLE_MS + 1000);
    expect(evicted()).toEqual(['d']);
    expect(vi.getTimerCount()).toBe(0);
  });

  describe('when idle', () => {
    it('removes each after its timeout, and not before', () => {
      const { add, removed } = table();
      add('a');
      pass(10_000);
      add('b');
      pass(IDLE_MS - 10_000 - 1);
      expect(removed).toEqual([]);
      pass(1000);
      expect(removed).toEqual([{ key: 'a', why: 'idle' }]);
      pass(10_000);
      expect(removed.at(-1)).toEqual({ key: 'b', why: 'idle' });
    });

    it.each([
      ['the client', 'use'],
      ['an answer', 'keep'],
    ] as const)('keeps one that %s uses', (_, method) => {
      const { associations, add, evicted } = table();
      add('used');
      add('unused');
      for (let minutes = 0; minutes < 10; minutes++) {
        pass(IDLE_MS - 2000);
        associations[method]('used');
      }
      expect(evicted()).toEqual(['unused']);
      pass(IDLE_MS - 1000);
      expect(associations.size).toBe(1);
      pass(2000);
      expect(evicted()).toEqual(['used']);
    });

    it('keeps one that was last used within the second of its last move in the order', () => {
      const { associations, add, evicted } = table();
      add('a');
      add('b');
      pass(999);
      associations.keep('a'); // too soon to be moved, but used
      pass(IDLE_MS - 999);
      expect(evicted()).toEqual(['b']);
      pass(1000);
      expect(evicted()).toEqual(['a']);
    });

    it('looks four times within a timeout that is shorter than four seconds', () => {
      const { add, evicted } = table({ idleTimeout: 400 });
      add('a');
      pass(399);
      expect(evicted()).toEqual([]);
      pass(101);
      expect(evicted()).toEqual(['a']);
    });

    it('needs no timer while it is empty', () => {
      const { associations, add } = table();
      expect(vi.getTimerCount()).toBe(0);
      add('a');
      add('b');
      expect(vi.getTimerCount()).toBe(1);
      associations.clear();
      expect(vi.getTimerCount()).toBe(0);
      add('d');
      pass(IDLE_MS + 1000);
      expect(associations.size).toBe(0);
      expect(vi.getTimerCount()).toBe(0);
    });
  });

  describe('when full', () => {
    it('removes the one that was not used for longest, whoever used it', () => {
      const { associations, add, evicted } = table({ max: 4 });
      for (const key of ['a', 'b', 'c', 'd']) {
        add(key);
        pass();
      }
      associations.keep('a'); // an answer
      pass();
      for (const key of ['e', 'f', 'g']) {
        add(key);
        pass();
      }
      expect(evicted()).toEqual(['b', 'c', 'd']);
      add('h');
      expect(evicted()).toEqual(['a']);
    });

    it('removes those that sent once before those that sent again, and these by their last use', () => {
      const { associations, add, evicted } = table({ max: 4 });
      for (const key of ['a', 'b', 'c']) add(key);
      pass();
      for (const key of ['b', 'a', 'c']) {
        associations.use(key);
        pass();
      }
      add('once');
      associations.keep('once'); // an answer proves nothing
      pass();
      add('d');
      expect(evicted()).toEqual(['once']);
      associations.use('d');
      add('e');
      expect(evicted()).toEqual(['b']);
      associations.use('e');
      pass();
      associations.keep('a');
      add('f');
      expect(evicted()).toEqual(['c']);
    });

    it('lets 100,000 new ones push out no other that was used again', () => {
      const { associations, add } = table({ max: 64 });
      const proven = Array.from({ length: 32 }, (_, index) => `proven ${index}`);
      for (const key of proven) {
        add(key);
        associations.use(key);
      }
      for (let count = 0; count < 100_000; count++) {
        add(`new ${count}`);
        if (count % 1000 === 0) pass(1); // the flood takes less than the idle timeout
      }
      expect(proven.filter(key => associations.use(key) === undefined)).toEqual([]);
      expect(associations.size).toBe(64);
      expect(associations.use('new 99999')).toBe('new 99999');
      expect(associations.use('new 99900')).toBeUndefined();
    });

    it('lets a user who floods push out own ones only, however new those of others are', () => {
      const { associations, add, evicted } = table({ max: 10 });
      for (const key of ['b1', 'b2', 'b3']) add(key, 'bob');
      for (const key of ['c1', 'c2', 'c3']) add(key, 'carol');
      pass();
      for (let count = 0; count < 100; count++) {
        add(`a${count}`, 'alice');
        associations.use(`a${count}`); // used again, unlike those of the others
        pass(10);
      }
      expect(evicted().filter(key => !key.startsWith('a'))).toEqual([]);
      for (const key of ['b1', 'b2', 'b3', 'c1', 'c2', 'c3']) expect(associations.use(key)).toBe(key);
    });

    it('makes room for a user who has less than an equal share at the cost of who has most', () => {
      const { associations, add, evicted } = table({ max: 9 });
      for (let count = 0; count < 6; count++) add(`a${count}`, 'alice');
      for (let count = 0; count < 3; count++) add(`b${count}`, 'bob');
      for (let count = 0; count < 3; count++) add(`c${count}`, 'carol');
      expect(evicted()).toEqual(['a0', 'a1', 'a2']);
      add('c3', 'carol'); // all have three now
      expect(evicted()).toEqual(['c0']);
      expect(associations.use('b0')).toBe('b0');
    });

    it('forgets users who have none any more', () => {
      const { add, evicted } = table({ max: 4 });
      add('b', 'bob');
      add('c', 'carol');
      pass(IDLE_MS + 1000);
      for (const key of ['a1', 'a2', 'a3', 'a4']) add(key, 'alice');
      add('d1', 'dave');
      add('d2', 'dave'); // two of four, which is the share of one of two
      add('d3', 'dave');
      expect(evicted()).toEqual(['b', 'c', 'a1', 'a2', 'd1']);
    });

    it('leaves a quarter to those that are only beginning, though all others were used again', () => {
      const { associations, add, evicted } = table({ max: 8 });
      for (let count = 0; count < 8; count++) {
        add(`old ${count}`);
        associations.use(`old ${count}`);
      }
      for (let count = 0; count < 4; count++) add(`new ${count}`);
      expect(evicted()).toEqual(['old 0', 'old 1', 'new 0', 'new 1']);
    });
  });

  it('gives all back when it is cleared, without a word', () => {
    const { associations, add, removed } = table();
    for (const key of ['a', 'b', 'c']) add(key, key);
    expect(associations.clear()).toEqual(['a', 'b', 'c']);
    expect(associations.size).toBe(0);
    expect(associations.use('a')).toBeUndefined();
    expect(associations.clear()).toEqual([]);
    pass(2 * IDLE_MS);
    expect(removed).toEqual([]);
  });

  it('counts those that were used within a time', () => {
    const { associations, add } = table();
    add('a');
    add('b');
    pass(5000);
    associations.keep('b');
    add('c');
    expect(associations.usedWithin(2000)).toBe(2);
    expect(associations.usedWithin(5001)).toBe(3);
    pass(2000);
    expect(associations.usedWithin(2000)).toBe(0);
  });

  it('agrees with a list that is searched from end to end', () => {
    const step = fc.record({
      what: fc.constantFrom('add', 'add', 'add', 'use', 'use', 'keep'),
      user: fc.constantFrom('a', 'a', 'a', 'b', 'c', 'd'),
      index: fc.nat(30),
      seconds: fc.constantFrom(1, 1, 1, 2, 40),
    });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 8 }), fc.array(step, { minLength: 20, maxLength: 120 }), (max, steps) => {
        const { associations, removed, add } = table({ max });
        const model = new Model(max);
        for (const { what, user, index, seconds } of steps) {
          pass(seconds * 1000);
          for (const { key } of removed.splice(0)) model.expire(key);
          model.expectNoneIdle();
          const key = `${user}${index}`;
          if (what === 'add') {
            if (model.has(key)) continue;
            add(key, user);
            model.add(key, user, removed.splice(0));
          } else {
            expect(associations[what](key)).toBe(what === 'use' && model.has(key) ? key : undefined);
            model.touch(key, what);
          }
          expect(associations.size).toBe(model.size);
        }
        expect(associations.clear().sort()).toEqual(model.keys());
      }),
    );
  });
});

interface Entry {
  readonly key: string;
  readonly user: string;
  usedAt: number;
  proven: boolean;
}

/** What the table has to do, in the order of its rules; told of who was removed, it says whether that was right. */
class Model {
  readonly #max: number;
  readonly #entries: Entry[] = [];

  constructor(max: number) {
    this.#max = max;
  }

  get size(): number {
    return this.#entries.length;
  }

  keys(): string[] {
    return this.#entries.map(({ key }) => key).sort();
  }

  has(key: string): boolean {
    return this.#entries.some(entry => entry.key === key);
  }

  add(key: string, user: string, removed: readonly { key: string; why: string }[]): void {
    expect(removed).toHaveLength(this.size < this.#max ? 0 : 1);
    for (const { key: victim, why } of removed) {
      expect(why).toBe('room');
      this.#expectRightVictim(this.#take(victim), user);
    }
    this.#entries.push({ key, user, usedAt: Date.now(), proven: false });
  }

  touch(key: string, what: 'use' | 'keep'): void {
    const entry = this.#entries.find(candidate => candidate.key === key);
    if (entry === undefined) return;
    entry.usedAt = Date.now();
    if (what === 'use') entry.proven = true;
  }

  expire(key: string): void {
    expect(this.#take(key).usedAt).toBeLessThanOrEqual(Date.now() - IDLE_MS);
  }

  expectNoneIdle(): void {
    const oldest = Math.min(...this.#entries.map(({ usedAt }) => usedAt));
    expect(oldest).toBeGreaterThan(Date.now() - IDLE_MS);
  }

  #expectRightVictim(victim: Entry, newcomer: string): void {
    const all = [...this.#entries, victim];
    const users = new Set([newcomer, ...all.map(({ user }) => user)]);
    const countOf = (user: string) => all.filter(entry => entry.user === user).length;
    const most = Math.max(...[...users].map(countOf));
    // Either the newcomer's own, who has an equal share already, or one of who has most.
    const hasShare = countOf(newcomer) * users.size >= this.#max;
    if (hasShare) expect(victim.user).toBe(newcomer);
    else expect(countOf(victim.user)).toBe(most);
    expect(countOf(victim.user) * users.size).toBeGreaterThanOrEqual(this.#max);
    const own = all.filter(({ user }) => user === victim.user);
    const fresh = own.filter(({ proven }) => !proven);
    const candidates = fresh.length > 0 ? fresh : own;
    expect(victim.usedAt).toBe(Math.min(...candidates.map(({ usedAt }) => usedAt)));
  }

  #take(key: string): Entry {
    const index = this.#entries.findIndex(entry => entry.key === key);
    expect(index, `${key} is known`).toBeGreaterThanOrEqual(0);
    return this.#entries.splice(index, 1)[0]!;
  }
}
