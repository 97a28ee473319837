/** What became of somebody who asked for a slot. */
export type SlotGrant = 'taken' | 'busy' | 'closed';

interface Waiter {
  readonly settle: (grant: SlotGrant) => void;
  readonly timer: NodeJS.Timeout;
}

/** At most so many things at a time; who comes later waits in turn, for a while. */
export class Slots {
  readonly #most: number;
  readonly #mostWaiting: number;
  readonly #waiting = new Set<Waiter>();
  #taken = 0;
  #closed = false;

  constructor({ most, mostWaiting }: { readonly most: number; readonly mostWaiting: number }) {
    this.#most = most;
    this.#mostWaiting = mostWaiting;
  }

  get taken(): number {
    return this.#taken;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /**
   * Takes a slot, which has to be given back where the grant is `taken`.
   *
   * @param timeout milliseconds; none has become free by then: `busy`.
   */
  take(timeout: number): Promise<SlotGrant> {
    if (this.#closed) return Promise.resolve('closed');
    if (this.#taken < this.#most) {
      this.#taken++;
      return Promise.resolve('taken');
    }
    if (this.#waiting.size >= this.#mostWaiting) return Promise.resolve('busy');
    return new Promise(settle => {
      const waiter: Waiter = {
        settle,
        timer: setTimeout(() => {
          this.#waiting.delete(waiter);
          settle('busy');
        }, timeout).unref(),
      };
      this.#waiting.add(waiter);
    });
  }

  /** Gives one back, to whoever has waited longest. */
  give(): void {
    const [next] = this.#waiting;
    if (next === undefined) this.#taken--;
    else this.#settle(next, 'taken');
  }

  /** Nobody gets a slot any more. */
  close(): void {
    this.#closed = true;
    for (const waiter of this.#waiting) this.#settle(waiter, 'closed');
  }

  #settle(waiter: Waiter, grant: SlotGrant): void {
    clearTimeout(waiter.timer);
    this.#waiting.delete(waiter);
    waiter.settle(grant);
  }
}
