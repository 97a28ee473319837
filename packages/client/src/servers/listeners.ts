/** Who wants to hear of something. */
export class Listeners<T> {
  readonly #listeners = new Set<(news: T) => void>();

  /** @returns how to stop that. */
  add(listener: (news: T) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Those who come or go meanwhile are not in it, or not any more. */
  call(news: T): void {
    for (const listener of [...this.#listeners]) listener(news);
  }

  clear(): void {
    this.#listeners.clear();
  }
}
