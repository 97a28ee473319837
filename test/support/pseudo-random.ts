import { type Cipher, createCipheriv, createHash, type Hash } from 'node:crypto';

/** Bytes that look random and are the same for the same seed, with the SHA-256 of those handed out. */
export class PseudoRandom {
  readonly #cipher: Cipher;
  readonly #hash: Hash = createHash('sha256');

  constructor(seed: string) {
    const key = createHash('sha256').update(seed).digest();
    this.#cipher = createCipheriv('aes-256-ctr', key, Buffer.alloc(16));
  }

  take(length: number): Buffer {
    const bytes = this.#cipher.update(Buffer.alloc(length));
    this.#hash.update(bytes);
    return bytes;
  }

  /** Ends the sequence. */
  digest(): string {
    return this.#hash.digest('hex');
  }
}

/** In hexadecimal, which a failure message shows on one line. */
export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
