import { readFileSync, type Stats, statSync } from 'node:fs';

export interface WatchedFileOptions<T> {
  readonly path: string;
  /** Is given undefined where there is no such file; must not throw. */
  readonly parse: (text: string | undefined) => T;
  /** A clock that never steps back, in milliseconds. */
  readonly now: () => number;
}

/**
 * Between two looks at a file, in milliseconds. glibc looks at every call; but a look takes 10 µs of the event loop, which
 * is a hundred answers from the cache.
 */
const LOOK_MS = 1000;

/** No file that is read here is larger, unless something is wrong. */
const MAX_BYTES = 16 * 1024 * 1024;

/**
 * A file of settings that somebody may change while the program runs: read again after that, at the next use. By looking,
 * not by inotify: a watch stays with a file that was replaced, as Kubernetes and most editors do, and keeps a descriptor.
 */
export class WatchedFile<T> {
  readonly #options: WatchedFileOptions<T>;
  #content: T;
  #stamp: string;
  #nextLook: number;

  constructor(options: WatchedFileOptions<T>) {
    this.#options = options;
    this.#nextLook = options.now() + LOOK_MS;
    this.#stamp = this.#look();
    this.#content = options.parse(this.#read());
  }

  /** What it holds; the same object for as long as the file does not change. */
  content(now = this.#options.now()): T {
    if (now < this.#nextLook) return this.#content;
    this.#nextLook = now + LOOK_MS;
    // Before it is read: if it changes in between, the next look sees that.
    const stamp = this.#look();
    if (stamp === this.#stamp) return this.#content;
    this.#stamp = stamp;
    this.#content = this.#options.parse(this.#read());
    return this.#content;
  }

  /** Differs after a change: another file, or another time or length. */
  #look(): string {
    let stats: Stats | undefined;
    try {
      stats = statSync(this.#options.path, { throwIfNoEntry: false });
    } catch {
      // No permission, or too many links: as if it were not there.
    }
    if (!stats?.isFile()) return 'none';
    const { dev, ino, size, mtimeMs, ctimeMs } = stats;
    return [dev, ino, size, mtimeMs, ctimeMs].join(' ');
  }

  #read(): string | undefined {
    if (this.#stamp === 'none') return undefined;
    try {
      return readFileSync(this.#options.path).subarray(0, MAX_BYTES).toString('utf8');
    } catch {
      this.#stamp = 'none'; // so that it is tried again
      return undefined;
    }
  }
}
