import {
  type CipherGCMTypes,
  createCipheriv,
  createDecipheriv,
  createSecretKey,
  getCipherInfo,
  type KeyObject,
} from 'node:crypto';
import type { AeadBackend, AeadContext } from './aead.ts';
import { type Aead, TAG_BYTES } from './methods.ts';
import { incrementNonce } from './nonce.ts';

const NONCE_BYTES = 12;
const OPTIONS = { authTagLength: TAG_BYTES };

/** OpenSSL through node:crypto. It has no XChaCha20, and in FIPS mode no ChaCha20 either. */
export const nodeBackend: AeadBackend = {
  name: 'node',
  supports: aead => getCipherInfo(aead) !== undefined,
  create: (aead, key) => new NodeAeadContext(aead, key),
};

class NodeAeadContext implements AeadContext {
  // node:crypto takes all four names alike; its types list the GCM ones for these overloads.
  readonly #algorithm: CipherGCMTypes;
  /** A KeyObject, not bytes: with bytes every createCipheriv imports the key anew, 15 µs instead of 3 on Node 24. */
  #key: KeyObject | undefined;
  readonly #nonce = new Uint8Array(NONCE_BYTES);

  constructor(aead: Aead, key: Uint8Array) {
    this.#algorithm = aead as CipherGCMTypes;
    this.#key = createSecretKey(key);
  }

  seal(out: Uint8Array, outAt: number, input: Uint8Array, inputAt: number, length: number): void {
    const cipher = createCipheriv(this.#algorithm, this.#key!, this.#nonce, OPTIONS);
    const sealed = cipher.update(input.subarray(inputAt, inputAt + length));
    cipher.final();
    out.set(sealed, outAt);
    out.set(cipher.getAuthTag(), outAt + length);
    incrementNonce(this.#nonce);
  }

  open(out: Uint8Array, outAt: number, input: Uint8Array, inputAt: number, length: number): boolean {
    const tagAt = inputAt + length;
    const decipher = createDecipheriv(this.#algorithm, this.#key!, this.#nonce, OPTIONS);
    decipher.setAuthTag(input.subarray(tagAt, tagAt + TAG_BYTES));
    const opened = decipher.update(input.subarray(inputAt, tagAt));
    try {
      decipher.final();
    } catch {
      // The only failure left to final() of an AEAD is a tag that does not match.
      return false;
    }
    out.set(opened, outAt);
    incrementNonce(this.#nonce);
    return true;
  }

  setNonce(nonce: Uint8Array): void {
    this.#nonce.set(nonce);
  }

  close(): void {
    this.#key = undefined;
  }
}
