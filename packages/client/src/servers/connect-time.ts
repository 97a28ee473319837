/** Milliseconds: where nothing is known, at most, and at least; and beside three times what a connect takes. */
const MOST_PATIENCE_MS = 1_000;
export const LEAST_PATIENCE_MS = 300;
const CONNECTS = 3;
const MORE_MS = 250;

/** What a new connect counts beside those before it. */
const WEIGHT = 0.3;

/** How long a connect to a server takes, of late. */
export class ConnectTime {
  #smoothed: number | undefined;

  /** @param took milliseconds. */
  add(took: number): void {
    this.#smoothed = this.#smoothed === undefined ? took : this.#smoothed + WEIGHT * (took - this.#smoothed);
  }

  forget(): void {
    this.#smoothed = undefined;
  }

  /** Milliseconds after which a connect takes longer than it should; with room for a SYN that is lost on a short way. */
  get patience(): number {
    if (this.#smoothed === undefined) return MOST_PATIENCE_MS;
    return Math.min(Math.max(CONNECTS * this.#smoothed + MORE_MS, LEAST_PATIENCE_MS), MOST_PATIENCE_MS);
  }
}
