import { buffers } from '../runtime/buffer-pool.ts';

const EMPTY = new Uint8Array(0);

/**
 * Makes units of a known size out of bytes that arrive in any split.
 *
 * A unit that lies whole in the input is used where it lies. Only one that is cut by the end of the input is copied, so
 * between inputs at most one partial unit is held, and at a unit's border nothing.
 */
export class Reassembly {
  /** Where the last whole unit lies: valid until the next call. */
  source: Uint8Array = EMPTY;
  sourceAt = 0;
  #carry: Uint8Array | undefined;
  #carried = 0;

  /** Bytes of the current unit that are held back. */
  get carried(): number {
    return this.#carried;
  }

  /**
   * Takes bytes of `input[at, end)` for a unit of `need` bytes. `need` stays the same until the unit is whole.
   *
   * @returns the bytes taken; when they complete the unit, `source` and `sourceAt` say where it is, else all were taken
   *   and `carried` is not 0.
   */
  take(input: Uint8Array, at: number, end: number, need: number): number {
    const available = end - at;
    if (this.#carried === 0 && available >= need) {
      this.source = input;
      this.sourceAt = at;
      return need;
    }
    if (this.#carried === 0 && this.#carry !== undefined && this.#carry.length < need) this.#release();
    this.#carry ??= buffers.take(need);
    const taken = Math.min(need - this.#carried, available);
    this.#carry.set(input.subarray(at, at + taken), this.#carried);
    this.#carried += taken;
    if (this.#carried === need) {
      this.source = this.#carry;
      this.sourceAt = 0;
      this.#carried = 0;
    }
    return taken;
  }

  /** To be called when the input is used up: lets go of what is not needed until more arrives. */
  settle(): void {
    this.source = EMPTY;
    if (this.#carried === 0) this.#release();
  }

  /** Lets go of everything. */
  close(): void {
    this.#carried = 0;
    this.settle();
  }

  #release(): void {
    if (this.#carry !== undefined) buffers.give(this.#carry);
    this.#carry = undefined;
  }
}
