/** How long an address is asked last: a headless Service lists a pod that has died until its probes or its node are given up. */
const AVOID_MS = 10_000;

/** Some 100 bytes each; the one that was noted first is forgotten when there are more. */
const MOST = 4096;

/**
 * Addresses of names that did not answer lately. They are tried last, not left out: so one of them costs the time of an
 * attempt once in a while and not each connection, and where all are silent all have their chance.
 */
export class SilentAddresses {
  readonly #now: () => number;
  /** Until when, by address and port. */
  readonly #until = new Map<string, number>();

  /** @param now milliseconds, of a clock that never steps back. */
  constructor(now: () => number) {
    this.#now = now;
  }

  note(address: string, port: number): void {
    const key = `${address} ${port}`;
    this.#until.delete(key); // so that it becomes the youngest
    this.#until.set(key, this.#now() + AVOID_MS);
    if (this.#until.size > MOST) this.#until.delete(this.#until.keys().next().value!);
  }

  /** The same, those last that were silent. */
  last<A extends { readonly address: string }>(addresses: readonly A[], port: number): A[] {
    const silent = addresses.filter(({ address }) => this.#isSilent(`${address} ${port}`));
    if (silent.length === 0) return [...addresses];
    return [...addresses.filter(address => !silent.includes(address)), ...silent];
  }

  #isSilent(key: string): boolean {
    const until = this.#until.get(key);
    if (until === undefined) return false;
    if (until > this.#now()) return true;
    this.#until.delete(key);
    return false;
  }
}
