/**
 * Which of the numbered datagrams are out, so many at most. Each slot has one of them, and in slot 5 of 64 these are the numbers
 * 5, 69, 133 and so on: the number of an echo says where to look. What has waited for longer than the patience is lost.
 */
export class DatagramWindow {
  /** Of each slot, the number that is out or goes next. 32 bits are more than any run comes to. */
  readonly #numbers: Uint32Array;
  /** Ticks that an echo still has; 0 where nothing is out. */
  readonly #left: Uint32Array;
  readonly #patience: number;
  #out = 0;
  #echoes = 0;
  #lost = 0;

  /** @param patience in ticks. */
  constructor(size: number, patience: number) {
    this.#numbers = Uint32Array.from({ length: size }, (_, slot) => slot);
    this.#left = new Uint32Array(size);
    this.#patience = patience;
  }

  /** How many are out. */
  get out(): number {
    return this.#out;
  }

  /** How many came back in time, so far. */
  get echoes(): number {
    return this.#echoes;
  }

  /** How many did not. */
  get lost(): number {
    return this.#lost;
  }

  /** The number of the datagram that leaves from a slot that has none out. */
  leave(slot: number): number {
    this.#left[slot] = this.#patience;
    this.#out++;
    return this.#numbers[slot]!;
  }

  /** The slot that is free now; undefined for what was lost, or was there before. */
  arrive(number: number): number | undefined {
    const slot = number % this.#numbers.length;
    if (this.#left[slot] === 0 || this.#numbers[slot] !== number) return undefined;
    this.#release(slot);
    this.#echoes++;
    return slot;
  }

  /** Time goes on by one tick: the slots that are free now, as what they had out is lost. */
  tick(): number[] {
    const slots: number[] = [];
    for (let slot = 0; slot < this.#left.length; slot++) {
      if (this.#left[slot] === 0 || --this.#left[slot]! > 0) continue;
      this.#release(slot);
      this.#lost++;
      slots.push(slot);
    }
    return slots;
  }

  #release(slot: number): void {
    this.#left[slot] = 0;
    this.#numbers[slot]! += this.#numbers.length;
    this.#out--;
  }
}
