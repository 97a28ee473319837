/** Something that is good until a time, in milliseconds of the cache's clock. */
export interface Expiring {
  readonly until: number;
  /** How much it holds, in whatever the bound of its cache counts. */
  readonly weight: number;
}

/**
 * Answers by name, each until its time is over. The bound counts what they hold, not names, because an answer may have one
 * address or a thousand; what was put in first makes room.
 */
export class TtlCache<T extends Expiring> {
  readonly #entries = new Map<string, T>();
  readonly #maxWeight: number;
  #weight = 0;

  /** @param maxWeight the sum of all weights, where each entry weighs one more for its name. */
  constructor(maxWeight: number) {
    this.#maxWeight = maxWeight;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** What is known and still good. */
  get(name: string, now: number): T | undefined {
    const entry = this.#entries.get(name);
    return entry !== undefined && entry.until > now ? entry : undefined;
  }

  set(name: string, entry: T): void {
    this.#delete(name); // so that it becomes the youngest
    this.#entries.set(name, entry);
    this.#weight += 1 + entry.weight;
    for (const oldest of this.#entries.keys()) {
      if (this.#weight <= this.#maxWeight) break;
      this.#delete(oldest);
    }
  }

  #delete(name: string): void {
    const entry = this.#entries.get(name);
    if (entry === undefined) return;
    this.#entries.delete(name);
    this.#weight -= 1 + entry.weight;
  }
}
