import { gcm } from '@noble/ciphers/aes.js';
import { chacha20poly1305, xchacha20poly1305 } from '@noble/ciphers/chacha.js';
import type { AeadBackend, AeadContext } from './aead.ts';
import { ContextPerMessage } from './aead-salted.ts';
import { type Aead, TAG_BYTES } from './methods.ts';
import { incrementNonce } from './nonce.ts';

/** The cipher of one operation: noble's ciphers are made for one nonce each. */
type CipherOf = (
  key: Uint8Array,
  nonce: Uint8Array,
) => {
  encrypt(plaintext: Uint8Array): Uint8Array;
  decrypt(ciphertext: Uint8Array): Uint8Array;
};

const CIPHERS: Record<Aead, { cipher: CipherOf; nonceBytes: number }> = {
  'aes-128-gcm': { cipher: gcm, nonceBytes: 12 },
  'aes-192-gcm': { cipher: gcm, nonceBytes: 12 },
  'aes-256-gcm': { cipher: gcm, nonceBytes: 12 },
  'chacha20-poly1305': { cipher: chacha20poly1305, nonceBytes: 12 },
  'xchacha20-poly1305': { cipher: xchacha20poly1305, nonceBytes: 24 },
};

/** @noble/ciphers, audited JavaScript: everything, everywhere, 20 to 50 times slower. The reference for the others. */
export const nobleBackend: AeadBackend = {
  name: 'noble',
  supports: () => true,
  create: (aead, key) => new NobleAeadContext(aead, key),
  createSalted: (aead, masterKey) => new ContextPerMessage(nobleBackend, aead, masterKey),
};

class NobleAeadContext implements AeadContext {
  readonly #cipher: CipherOf;
  readonly #key: Uint8Array;
  readonly #nonce: Uint8Array;

  constructor(aead: Aead, key: Uint8Array) {
    const { cipher, nonceBytes } = CIPHERS[aead];
    this.#cipher = cipher;
    this.#key = Uint8Array.from(key);
    this.#nonce = new Uint8Array(nonceBytes);
  }

  seal(out: Uint8Array, outAt: number, input: Uint8Array, inputAt: number, length: number): void {
    out.set(this.#cipher(this.#key, this.#nonce).encrypt(input.subarray(inputAt, inputAt + length)), outAt);
    incrementNonce(this.#nonce);
  }

  open(out: Uint8Array, outAt: number, input: Uint8Array, inputAt: number, length: number): boolean {
    const sealed = input.subarray(inputAt, inputAt + length + TAG_BYTES);
    let opened: Uint8Array;
    try {
      opened = this.#cipher(this.#key, this.#nonce).decrypt(sealed);
    } catch {
      // Lengths are right by contract, so this is a tag that does not match.
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
    this.#key.fill(0);
  }
}
