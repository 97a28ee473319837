import type { StreamOpener, StreamSealer } from '../crypto/stream.ts';

/** What happens to bytes on their way from one socket to the other. */
export interface Transform {
  /** On which side of it the plaintext is, whose bytes are counted. */
  readonly plaintext: 'input' | 'output';
  /** The most bytes that come out when `length` go in now. */
  outLength(length: number): number;
  /** Takes all of `input[0, length)`, writes at `out[0..]`, returns the bytes written. Throws PodsocksError. */
  apply(out: Uint8Array, input: Uint8Array, length: number): number;
  /** The source has ended. Throws PodsocksError when it must not end here. */
  end(): void;
  close(): void;
}

/** Plaintext in, wire bytes out. */
export class Sealing implements Transform {
  readonly plaintext = 'input';
  readonly #sealer: StreamSealer;

  constructor(sealer: StreamSealer) {
    this.#sealer = sealer;
  }

  outLength(length: number): number {
    return this.#sealer.sealedLength(length);
  }

  apply(out: Uint8Array, input: Uint8Array, length: number): number {
    return this.#sealer.seal(out, 0, input, 0, length);
  }

  end(): void {}

  close(): void {
    this.#sealer.close();
  }
}

/** Wire bytes in, plaintext out. */
export class Opening implements Transform {
  readonly plaintext = 'output';
  readonly #opener: StreamOpener;

  constructor(opener: StreamOpener) {
    this.#opener = opener;
  }

  outLength(length: number): number {
    return this.#opener.openedLength(length);
  }

  apply(out: Uint8Array, input: Uint8Array, length: number): number {
    return this.#opener.open(out, 0, input, 0, length);
  }

  end(): void {
    this.#opener.end();
  }

  close(): void {
    this.#opener.close();
  }
}

/** Plaintext in, the same out. */
export const COPYING: Transform = {
  plaintext: 'input',
  outLength: length => length,
  apply(out, input, length) {
    out.set(input.subarray(0, length));
    return length;
  },
  end() {},
  close() {},
};
