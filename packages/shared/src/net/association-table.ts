export interface AssociationTableOptions<A> {
  /** The cap of all together. */
  readonly max: number;
  /** Milliseconds without use after which one is closed. */
  readonly idleTimeout: number;
  /** A clock that never steps back, in milliseconds. */
  readonly now: () => number;
  /** It is in the table no more, and has to be closed. */
  readonly remove: (association: A, why: 'idle' | 'room') => void;
}

interface Entry<K, A> {
  readonly key: K;
  readonly association: A;
  readonly group: Group<K, A>;
  usedAt: number;
  /** When it became the youngest of its generation. */
  movedAt: number;
  proven: boolean;
}

/** Those of one user, each generation with the longest unused first. */
interface Group<K, A> {
  readonly id: unknown;
  readonly fresh: Map<K, Entry<K, A>>;
  readonly proven: Map<K, Entry<K, A>>;
}

/** Precision of the order: to move an entry at each packet would cost more than the packet's look-up. */
const MOVE_MS = 1000;
const TICK_MS = 1000;

/**
 * UDP has no connections and no end, so what is remembered of each conversation goes when it is idle, or when there is no
 * room. Room is made
 *
 * - by the user who has most, so that nobody can push out the associations of others,
 * - among those that sent once only, as one question for a name does, if they are a quarter or more, else among those that
 *   were used again: a flood of new ones gets that quarter, and then pushes out itself,
 * - and there by the one that was not used for longest.
 */
export class AssociationTable<K, A> {
  readonly #options: AssociationTableOptions<A>;
  readonly #entries = new Map<K, Entry<K, A>>();
  readonly #groups = new Map<unknown, Group<K, A>>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: AssociationTableOptions<A>) {
    this.#options = options;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** The association whose client has just sent again. */
  use(key: K): A | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    this.#touch(entry, true);
    return entry.association;
  }

  /** Something came for the client; its association is in use, but that proves nothing. */
  keep(key: K): void {
    const entry = this.#entries.get(key);
    if (entry !== undefined) this.#touch(entry, entry.proven);
  }

  /**
   * @param key not in the table yet.
   * @param user whose it is; all that are the same share.
   */
  add(key: K, user: unknown, association: A): void {
    let group = this.#groups.get(user);
    if (group === undefined) {
      group = { id: user, fresh: new Map(), proven: new Map() };
      this.#groups.set(user, group);
    }
    if (this.#entries.size >= this.#options.max) this.#makeRoom(group);
    const now = this.#options.now();
    const entry = { key, association, group, usedAt: now, movedAt: now, proven: false };
    this.#groups.set(user, group); // making room may have taken the last of the group
    this.#entries.set(key, entry);
    group.fresh.set(key, entry);
    this.#timer ??= setInterval(() => this.#removeIdle(), Math.min(TICK_MS, this.#options.idleTimeout / 4)).unref();
  }

  /** Takes it out, without a call of `remove`. */
  delete(key: K): A | undefined {
    const entry = this.#entries.get(key);
    if (entry !== undefined) this.#unlink(entry);
    return entry?.association;
  }

  /**
   * Makes room among those of one user, as where there is none for all.
   *
   * @returns whether there was one to be ended.
   */
  makeRoomOf(user: unknown): boolean {
    const group = this.#groups.get(user);
    return group !== undefined && this.#removeOldest(group);
  }

  /** How many were used within the last `ms`. */
  usedWithin(ms: number): number {
    const since = this.#options.now() - ms;
    let count = 0;
    for (const { usedAt } of this.#entries.values()) if (usedAt > since) count++;
    return count;
  }

  /** Takes all out, without a call of `remove`, and returns them. */
  clear(): A[] {
    const associations = Array.from(this.#entries.values(), ({ association }) => association);
    this.#entries.clear();
    this.#groups.clear();
    this.#stopWhenEmpty();
    return associations;
  }

  #touch(entry: Entry<K, A>, proven: boolean): void {
    const now = this.#options.now();
    entry.usedAt = now;
    if (entry.proven === proven && now - entry.movedAt < MOVE_MS) return;
    generationOf(entry).delete(entry.key);
    entry.proven = proven;
    entry.movedAt = now;
    generationOf(entry).set(entry.key, entry);
  }

  #makeRoom(newcomer: Group<K, A>): void {
    let group = newcomer;
    // Whoever has an equal share makes room himself; so the largest is looked for only when somebody has less.
    if (sizeOf(newcomer) * this.#groups.size < this.#options.max) {
      for (const other of this.#groups.values()) if (sizeOf(other) > sizeOf(group)) group = other;
    }
    this.#removeOldest(group);
  }

  #removeOldest(group: Group<K, A>): boolean {
    // A quarter is theirs in any case: what is only beginning must live until its answer has come.
    const generation = group.fresh.size * 4 >= sizeOf(group) ? group.fresh : group.proven;
    const [oldest] = generation.values();
    if (oldest !== undefined) this.#remove(oldest, 'room');
    return oldest !== undefined;
  }

  #removeIdle(): void {
    const before = this.#options.now() - this.#options.idleTimeout;
    for (const { fresh, proven } of this.#groups.values()) {
      for (const generation of [fresh, proven]) {
        for (const entry of generation.values()) {
          if (entry.movedAt > before) break;
          if (entry.usedAt <= before) this.#remove(entry, 'idle');
        }
      }
    }
  }

  #remove(entry: Entry<K, A>, why: 'idle' | 'room'): void {
    this.#unlink(entry);
    this.#options.remove(entry.association, why);
  }

  #unlink(entry: Entry<K, A>): void {
    const { key, group } = entry;
    this.#entries.delete(key);
    generationOf(entry).delete(key);
    if (sizeOf(group) === 0) this.#groups.delete(group.id);
    this.#stopWhenEmpty();
  }

  #stopWhenEmpty(): void {
    if (this.#entries.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}

function generationOf<K, A>({ group, proven }: Entry<K, A>): Map<K, Entry<K, A>> {
  return proven ? group.proven : group.fresh;
}

function sizeOf({ fresh, proven }: Group<unknown, unknown>): number {
  return fresh.size + proven.size;
}
