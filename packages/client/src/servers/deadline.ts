/**
 * A signal that aborts after some time, or with another one. In place of AbortSignal.any and AbortSignal.timeout: Node 20
 * collects a time-out that only a composite signal waits for, and then it never comes (seen as a probe that did not end).
 */
export class Deadline {
  readonly #controller = new AbortController();
  readonly #outer: AbortSignal | undefined;
  readonly #timer: NodeJS.Timeout;
  #isLate = false;

  /** @param timeout milliseconds. */
  constructor(timeout: number, outer?: AbortSignal) {
    this.#outer = outer;
    this.#timer = setTimeout(() => {
      this.#isLate = true;
      this.#controller.abort();
    }, timeout);
    if (outer?.aborted) this.#controller.abort();
    else outer?.addEventListener('abort', this.#onAbort);
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Whether it was the time. */
  get isLate(): boolean {
    return this.#isLate;
  }

  /** What it was for is over. */
  end(): void {
    clearTimeout(this.#timer);
    this.#outer?.removeEventListener('abort', this.#onAbort);
  }

  readonly #onAbort = (): void => this.#controller.abort();
}
