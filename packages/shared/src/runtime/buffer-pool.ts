/**
 * Reusable buffers in sizes that are powers of two.
 *
 * A connection borrows a buffer only while bytes are in flight, so the memory of a process follows what is really in
 * flight, not how many connections it has. Free buffers are kept up to a bound; the rest is left to the collector.
 */
export class BufferPool {
  readonly #free = new Map<number, Uint8Array[]>();
  readonly #keepBytes: number;

  /** @param keepBytes the most free bytes that are kept for each size. */
  constructor(keepBytes: number) {
    this.#keepBytes = keepBytes;
  }

  /** A buffer of at least `length` bytes with arbitrary content. Give it back with {@link give}, or let it go. */
  take(length: number): Uint8Array {
    const size = sizeFor(length);
    return this.#free.get(size)?.pop() ?? Buffer.allocUnsafeSlow(size);
  }

  /** Takes back a buffer that {@link take} gave out; the caller must not touch it again. */
  give(buffer: Uint8Array): void {
    const size = buffer.length;
    const free = this.#free.get(size);
    if (free === undefined) this.#free.set(size, [buffer]);
    else if ((free.length + 1) * size <= this.#keepBytes) free.push(buffer);
  }
}

const SMALLEST = 1024;

function sizeFor(length: number): number {
  return length <= SMALLEST ? SMALLEST : 2 ** Math.ceil(Math.log2(length));
}

/** The pool of this process. */
export const buffers = new BufferPool(4 * 1024 * 1024);
