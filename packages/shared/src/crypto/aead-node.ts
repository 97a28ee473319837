import {
  type CipherGCMTypes,
  createCipheriv,
  createDecipheriv,
  createSecretKey,
  getCipherInfo,
  type KeyObject,
} from 'node:crypto';
import type { AeadBackend, AeadContext } from './aead.ts';
import { ContextPerMessage } from './aead-salted.ts';
import { type Aead, TAG_BYTES } from './methods.ts';

const OPTIONS = { authTagLength: TAG_BYTES };

/**
 * What one call of update takes: it allocates its result, and 64 KiB at a time are fresh pages from the kernel, over and
 * over. Smaller ones take a fifth off the time in the kernel.
 */
const PIECE_BYTES = 16 * 1024;

/** Written before every operation. A connection that is idle needs no nonce of its own in memory, only a counter. */
const nonceScratch = new Uint8Array(12);
const nonceView = new DataView(nonceScratch.buffer);

/** OpenSSL through node:crypto. It has no XChaCha20, and in FIPS mode no ChaCha20 either. */
export const nodeBackend: AeadBackend = {
  name: 'node',
  supports: aead => getCipherInfo(aead) !== undefined,
  create: (aead, key) => new NodeAeadContext(aead, key),
  createSalted: (aead, masterKey) => new ContextPerMessage(nodeBackend, aead, masterKey),
};

class NodeAeadContext implements AeadContext {
  // node:crypto takes all four names alike; its types list the GCM ones for these overloads.
  readonly #algorithm: CipherGCMTypes;
  /** A KeyObject, not bytes: with bytes every createCipheriv imports the key anew, 15 µs instead of 3 on Node 24. */
  #key: KeyObject | undefined;
  /** The nonce, little-endian: 6 bytes that count, exact in a number, and 6 above them. 2^48 operations never come. */
  #counter = 0;
  #above = 0;

  constructor(aead: Aead, key: Uint8Array) {
    this.#algorithm = aead as CipherGCMTypes;
    this.#key = createSecretKey(key);
  }

  seal(out: Uint8Array, outAt: number, input: Uint8Array, inputAt: number, length: number): void {
    const cipher = createCipheriv(this.#algorithm, this.#key!, this.#nonce(), OPTIONS);
    for (let at = 0; at < length; at += PIECE_BYTES) {
      const end = Math.min(length, at + PIECE_BYTES);
      out.set(cipher.update(input.subarray(inputAt + at, inputAt + end)), outAt + at);
    }
    cipher.final();
    out.set(cipher.getAuthTag(), outAt + length);
    this.#counter++;
  }

  open(out: Uint8Array, outAt: number, input: Uint8Array, inputAt: number, length: number): boolean {
    const tagAt = inputAt + length;
    const decipher = createDecipheriv(this.#algorithm, this.#key!, this.#nonce(), OPTIONS);
    decipher.setAuthTag(input.subarray(tagAt, tagAt + TAG_BYTES));
    for (let at = 0; at < length; at += PIECE_BYTES) {
      const end = Math.min(length, at + PIECE_BYTES);
      out.set(decipher.update(input.subarray(inputAt + at, inputAt + end)), outAt + at);
    }
    try {
      decipher.final();
    } catch {
      // The only failure left to final() of an AEAD is a tag that does not match.
      return false;
    }
    this.#counter++;
    return true;
  }

  setNonce(nonce: Uint8Array): void {
    const view = new DataView(nonce.buffer, nonce.byteOffset);
    this.#counter = readU48(view, 0);
    this.#above = readU48(view, 6);
  }

  close(): void {
    this.#key = undefined;
  }

  #nonce(): Uint8Array {
    writeU48(0, this.#counter);
    writeU48(6, this.#above);
    return nonceScratch;
  }
}

function readU48(view: DataView, at: number): number {
  return view.getUint32(at, true) + view.getUint16(at + 4, true) * 2 ** 32;
}

function writeU48(at: number, value: number): void {
  nonceView.setUint32(at, value, true);
  nonceView.setUint16(at + 4, value / 2 ** 32, true);
}
