import type { SharedReplayFilter, Verdict } from '@podsocks/shared/crypto/replay-filter';

/** Salts that the primary is asked about together. */
interface Batch {
  readonly salts: Uint8Array[];
  readonly decided: Promise<void>;
  readonly decide: () => void;
}

/**
 * A worker's share in the one replay filter, which the primary has. It lets every salt pass at first, and asks the
 * primary about all that come in one turn of the event loop together; {@link confirm} tells what the primary has said.
 */
export class SharedReplays implements SharedReplayFilter {
  readonly #ask: (salts: readonly Uint8Array[]) => void;
  /** Those without an answer, oldest first. The newest may not have been asked yet. */
  readonly #batches: Batch[] = [];
  /** The newest one, until it is asked. */
  #open: Batch | undefined;
  readonly #verdicts = new WeakMap<Uint8Array, Verdict>();

  /** @param ask asks the primary, whose answers come in the same order, see {@link answer}. */
  constructor(ask: (salts: readonly Uint8Array[]) => void) {
    this.#ask = ask;
  }

  add(salt: Uint8Array): 'fresh' {
    this.#open ??= this.#begin();
    this.#open.salts.push(salt);
    return 'fresh';
  }

  async confirm(salt: Uint8Array): Promise<Verdict | undefined> {
    await this.settled();
    return this.#verdicts.get(salt);
  }

  async settled(): Promise<void> {
    await this.#batches.at(-1)?.decided;
  }

  /** Takes the answer about the oldest batch. */
  answer(verdicts: readonly Verdict[]): void {
    const batch = this.#batches.shift()!;
    batch.salts.forEach((salt, index) => {
      this.#verdicts.set(salt, verdicts[index]!);
    });
    batch.decide();
  }

  #begin(): Batch {
    let decide!: () => void;
    const decided = new Promise<void>(resolve => {
      decide = resolve;
    });
    const batch: Batch = { salts: [], decided, decide };
    this.#batches.push(batch);
    setImmediate(() => {
      this.#open = undefined;
      this.#ask(batch.salts);
    });
    return batch;
  }
}
