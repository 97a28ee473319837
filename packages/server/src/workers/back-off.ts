const FIRST_MS = 100;
const LONGEST_MS = 30_000;

/** Who has lived for so long did not fail at once, so the next one may come soon. */
const SOUND_MS = 60_000;

/** How long to wait before a worker that has ended is replaced: a little, and longer each time that one ends soon. */
export class BackOff {
  #next = FIRST_MS;

  /**
   * @param lived how long the one that has ended was there.
   * @returns both in milliseconds.
   */
  after(lived: number): number {
    if (lived >= SOUND_MS) this.#next = FIRST_MS;
    const delay = this.#next;
    this.#next = Math.min(2 * delay, LONGEST_MS);
    return delay;
  }
}
