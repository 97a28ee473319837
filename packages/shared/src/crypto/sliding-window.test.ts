import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SlidingWindow, WINDOW_IDS } from './sliding-window.ts';

const LAST = 2n ** 64n - 1n;

function halves(id: bigint) {
  return { high: Number(id >> 32n), low: Number(id & 0xffffffffn) };
}

/** The rule, without a thought for memory: pages of 2048, and the newest two of them. */
class NaiveWindow {
  readonly #seen = new Set<bigint>();
  #newest = 0n;

  isFresh(id: bigint): boolean {
    return id / 2048n + 1n >= this.#newest / 2048n && !this.#seen.has(id);
  }

  commit(id: bigint): boolean {
    if (!this.isFresh(id)) return false;
    this.#seen.add(id);
    if (id > this.#newest) this.#newest = id;
    return true;
  }
}

/** Ids around a few places: where halves, pages and words change, and both ends of u64. */
const ids = fc
  .tuple(
    fc.constantFrom(
      0n,
      31n,
      2048n,
      4096n,
      6144n,
      2n ** 32n,
      2n ** 32n + 2048n,
      2n ** 53n,
      2n ** 63n,
      LAST - 2048n,
      LAST,
    ),
    fc.bigInt(-2100n, 2100n),
  )
  .map(([place, by]) => place + by)
  .filter(id => id >= 0n && id <= LAST);

describe('the sliding window', () => {
  it('does what a set of all ids would', () => {
    fc.assert(
      fc.property(fc.array(ids, { maxLength: 200 }), sequence => {
        const window = new SlidingWindow();
        const naive = new NaiveWindow();
        for (const id of sequence) {
          expect(window.isFresh(halves(id))).toBe(naive.isFresh(id));
          expect(window.commit(halves(id))).toBe(naive.commit(id));
        }
      }),
      { numRuns: 300 },
    );
  });

  it('does so for a run of neighbours in any order, which crosses pages and comes twice', () => {
    const near = fc.array(fc.nat(9000), { minLength: 500, maxLength: 2000 });
    fc.assert(
      fc.property(fc.bigInt(0n, LAST - 9000n), near, (base, offsets) => {
        const window = new SlidingWindow();
        const naive = new NaiveWindow();
        const wrong = offsets.find(
          offset => window.commit(halves(base + BigInt(offset))) !== naive.commit(base + BigInt(offset)),
        );
        expect(wrong).toBeUndefined();
      }),
      { numRuns: 100 },
    );
  });

  it('takes every id once that is at most 2048 behind the newest, and none twice', () => {
    fc.assert(
      fc.property(fc.array(ids, { maxLength: 300 }), sequence => {
        const window = new SlidingWindow();
        const seen = new Set<bigint>();
        let newest = 0n;
        for (const id of sequence) {
          const taken = window.commit(halves(id));
          if (seen.has(id)) expect(taken).toBe(false);
          else if (newest - id <= BigInt(WINDOW_IDS)) expect(taken).toBe(true);
          if (taken) seen.add(id);
          if (taken && id > newest) newest = id;
        }
      }),
      { numRuns: 300 },
    );
  });

  it('is not moved by a question, however far ahead', () => {
    const window = new SlidingWindow();
    expect(window.commit(halves(5n))).toBe(true);
    expect(window.isFresh(halves(LAST))).toBe(true);
    expect(window.isFresh(halves(6n))).toBe(true);
    expect(window.isFresh(halves(6n))).toBe(true);
    expect(window.isFresh(halves(5n))).toBe(false);
  });

  it('refuses what lies behind it, and is not moved by that', () => {
    const window = new SlidingWindow();
    expect(window.commit(halves(10_000n))).toBe(true);
    expect(window.commit(halves(0n))).toBe(false);
    expect(window.commit(halves(4095n))).toBe(false);
    expect(window.commit(halves(8192n))).toBe(true);
    expect(window.commit(halves(6144n))).toBe(true);
    expect(window.commit(halves(6143n))).toBe(false);
    expect(window.commit(halves(9_999n))).toBe(true);
    expect(window.commit(halves(10_000n))).toBe(false);
  });

  it('works to the end of u64', () => {
    const window = new SlidingWindow();
    expect(window.commit(halves(LAST))).toBe(true);
    expect(window.commit(halves(LAST))).toBe(false);
    for (let back = 1n; back < 4096n; back++) expect(window.commit(halves(LAST - back))).toBe(true);
    for (let back = 0n; back < 5000n; back++) expect(window.commit(halves(LAST - back))).toBe(false);
    expect(window.commit(halves(0n))).toBe(false);
  });

  it('tells ids apart that a double does not', () => {
    const window = new SlidingWindow();
    const base = 2n ** 63n;
    for (let id = base; id < base + 100n; id++) expect(window.commit(halves(id))).toBe(true);
    for (let id = base; id < base + 100n; id++) expect(window.isFresh(halves(id))).toBe(false);
  });
});
