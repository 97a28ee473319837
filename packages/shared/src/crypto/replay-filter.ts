import type { Method } from './methods.ts';

/** Tells whether a salt was accepted before. To be asked after the request was authenticated, never earlier: before that, anyone could fill it. */
export interface ReplayFilter {
  /**
   * Remembers a salt. The array may be kept: nobody may change it any more.
   *
   * @returns 'fresh' when it was not known; 'replayed' when it was; 'full' when it could not be remembered, and so must
   *   be refused.
   */
  add(salt: Uint8Array): Verdict;
}

export type Verdict = 'fresh' | 'replayed' | 'full';

/** One filter of several processes. `add` lets every salt pass. */
export interface SharedReplayFilter extends ReplayFilter {
  /**
   * The real verdict, to be awaited before anything is done for the request; undefined if there is none.
   *
   * @param salt the array that was added, not a copy.
   */
  confirm(salt: Uint8Array): Promise<Verdict | undefined>;
  /** Resolves when all that were added so far are known to all. */
  settled(): Promise<void>;
}

/**
 * The filter of a protocol generation.
 *
 * @param monotonicMs a clock that never steps back, in milliseconds.
 * @param seed random, so that nobody can aim at one slot.
 */
export function replayFilter(method: Method, monotonicMs: () => number, seed: number): ReplayFilter {
  return method.generation === 'sip022'
    ? timedReplayFilter(method.keyBytes, monotonicMs, seed)
    : countedReplayFilter(method.keyBytes, seed);
}

/**
 * SIP022: an exact set of the salts of at least the last 65 s. A timestamp may be 30 s ahead of the server's clock and
 * is good until 30 s after it; clocks are compared in whole seconds, which makes it 61 s; and a worker asks a moment after
 * it has looked at the time. So no request outlives its salt here.
 *
 * Two generations change places every 65 s; each holds at most 2^19 salts, about 8,000 new connections a second, in at
 * most 2^20 slots of 33 bytes: 66 MiB for both if ever full, 68 kB at rest. When a generation is full, requests are
 * refused: only clients with a key can bring that about.
 */
export function timedReplayFilter(saltBytes: number, monotonicMs: () => number, seed: number): ReplayFilter {
  let current = new SaltSet(saltBytes, SIP022_CAPACITY, seed);
  let previous = new SaltSet(saltBytes, SIP022_CAPACITY, seed);
  let turnAt = monotonicMs() + SIP022_GENERATION_MS;
  return {
    add(salt) {
      const now = monotonicMs();
      if (now >= turnAt) {
        const bothAreOld = now >= turnAt + SIP022_GENERATION_MS;
        previous = bothAreOld ? new SaltSet(saltBytes, SIP022_CAPACITY, seed) : current;
        current = new SaltSet(saltBytes, SIP022_CAPACITY, seed);
        turnAt = now + SIP022_GENERATION_MS;
      }
      const hash = hashOf(salt, 0, saltBytes, seed);
      if (previous.has(salt, hash) || current.has(salt, hash)) return 'replayed';
      return current.add(salt, hash) ? 'fresh' : 'full';
    },
  };
}

/**
 * SIP004 has no timestamps, so a salt is remembered as long as there is room: the last 2^16 to 2^17 salts, in at most
 * 2 × 2^17 slots of up to 33 bytes, 8.7 MB. Both ends add the salts of what they send too, so that their bytes cannot
 * be reflected to them.
 */
export function countedReplayFilter(saltBytes: number, seed: number): ReplayFilter {
  let current = new SaltSet(saltBytes, SIP004_CAPACITY, seed);
  let previous = new SaltSet(saltBytes, SIP004_CAPACITY, seed);
  return {
    add(salt) {
      const hash = hashOf(salt, 0, saltBytes, seed);
      if (previous.has(salt, hash) || current.has(salt, hash)) return 'replayed';
      if (!current.add(salt, hash)) {
        previous = current;
        current = new SaltSet(saltBytes, SIP004_CAPACITY, seed);
        current.add(salt, hash);
      }
      return 'fresh';
    },
  };
}

const SIP022_GENERATION_MS = 65_000;
const SIP022_CAPACITY = 2 ** 19;
const SIP004_CAPACITY = 2 ** 16;
const FIRST_SLOTS = 1024;

/**
 * Salts of honest clients are random already; the seed keeps a client from choosing ones that share a slot. By bytes, not by
 * words: the next word could undo, whatever the seed, what a difference in the highest bit of one does.
 */
function hashOf(from: Uint8Array, at: number, saltBytes: number, seed: number): number {
  let hash = seed;
  for (let index = at; index < at + saltBytes; index++) {
    hash = Math.imul(hash ^ from[index]!, 0x9e3779b1);
    hash ^= hash >>> 15;
  }
  return hash >>> 0;
}

/**
 * An exact set of byte strings of one length: open addressing, at most half full, doubling up to its capacity. The hash of each,
 * by {@link hashOf} and the seed, comes with it: who asks several sets has it worked out once.
 */
class SaltSet {
  readonly #saltBytes: number;
  readonly #capacity: number;
  readonly #seed: number;
  #size = 0;
  #slots = FIRST_SLOTS;
  #used = new Uint8Array(FIRST_SLOTS);
  #salts: Uint8Array;

  constructor(saltBytes: number, capacity: number, seed: number) {
    this.#saltBytes = saltBytes;
    this.#capacity = capacity;
    this.#seed = seed;
    this.#salts = new Uint8Array(FIRST_SLOTS * saltBytes);
  }

  has(salt: Uint8Array, hash: number): boolean {
    return this.#used[this.#find(salt, 0, hash)] === 1;
  }

  /** @returns false when the set is full. The salt is known not to be in it. */
  add(salt: Uint8Array, hash: number): boolean {
    if (this.#size === this.#capacity) return false;
    if (this.#size * 2 >= this.#slots) this.#grow();
    this.#put(salt, 0, hash);
    this.#size++;
    return true;
  }

  #put(from: Uint8Array, at: number, hash: number): void {
    const slot = this.#find(from, at, hash);
    this.#used[slot] = 1;
    const saltAt = slot * this.#saltBytes;
    for (let index = 0; index < this.#saltBytes; index++) this.#salts[saltAt + index] = from[at + index]!;
  }

  /** The slot that holds `from[at, +saltBytes)`, or the free one where it would go. */
  #find(from: Uint8Array, at: number, hash: number): number {
    const mask = this.#slots - 1;
    let slot = hash & mask;
    while (this.#used[slot] === 1 && !this.#equals(slot * this.#saltBytes, from, at)) slot = (slot + 1) & mask;
    return slot;
  }

  #equals(saltAt: number, from: Uint8Array, at: number): boolean {
    for (let index = 0; index < this.#saltBytes; index++) {
      if (this.#salts[saltAt + index] !== from[at + index]) return false;
    }
    return true;
  }

  #grow(): void {
    const { used, salts, slots } = { used: this.#used, salts: this.#salts, slots: this.#slots };
    this.#slots = slots * 2;
    this.#used = new Uint8Array(this.#slots);
    this.#salts = new Uint8Array(this.#slots * this.#saltBytes);
    for (let slot = 0; slot < slots; slot++) {
      if (used[slot] !== 1) continue;
      const at = slot * this.#saltBytes;
      this.#put(salts, at, hashOf(salts, at, this.#saltBytes, this.#seed));
    }
  }
}
