import type { Aead } from './methods.ts';

/**
 * One key and one running nonce: one direction of a stream, or one packet at a time.
 *
 * The nonce starts at zero and counts up, little-endian, after every operation that succeeded (SIP004 and SIP022 agree).
 * Regions of `out` and `input` must not overlap. The caller has checked that both are long enough; a backend may throw
 * RangeError otherwise.
 */
export interface AeadContext {
  /** Encrypts `input[inputAt, +length)` into `out[outAt, +length + 16)`: ciphertext, then tag. */
  seal(out: Uint8Array, outAt: number, input: Uint8Array, inputAt: number, length: number): void;

  /**
   * Decrypts `input[inputAt, +length + 16)` into `out[outAt, +length)`; `length` counts plaintext.
   *
   * @returns false when the tag does not match: the nonce has not moved and what is in `out` must not be used.
   */
  open(out: Uint8Array, outAt: number, input: Uint8Array, inputAt: number, length: number): boolean;

  /** Sets the nonce of the next operation (packets choose their own); copies it. */
  setNonce(nonce: Uint8Array): void;

  /** Forgets the key. No operation may follow. */
  close(): void;
}

/**
 * One master key, and messages that each have a subkey of their own: the datagrams of SIP004. A message begins with its salt,
 * which is as long as the key; the subkey, as long again, is HKDF-SHA1 of both (SIP004, SIP007), and the nonce is zero.
 *
 * For regions and lengths goes what {@link AeadContext} says. Any message may be opened, in any order.
 */
export interface SaltedAead {
  /**
   * Encrypts `input[inputAt, +length)` under the salt that is in `out[outAt, +keyBytes)` already, into `length + 16` bytes
   * after it: ciphertext, then tag. No salt may come twice.
   */
  seal(out: Uint8Array, outAt: number, input: Uint8Array, inputAt: number, length: number): void;

  /**
   * Decrypts `input[inputAt, +keyBytes + length + 16)`, salt and all, into `out[outAt, +length)`; `length` counts plaintext.
   *
   * @returns false when the tag does not match: what is in `out` must not be used.
   */
  open(out: Uint8Array, outAt: number, input: Uint8Array, inputAt: number, length: number): boolean;

  /** Forgets the key. No operation may follow. */
  close(): void;
}

/** A source of contexts. Backends differ in speed and in what they support, never in a byte of output. */
export interface AeadBackend {
  readonly name: string;
  supports(aead: Aead): boolean;
  /** @param key copied, of the primitive's key length. */
  create(aead: Aead, key: Uint8Array): AeadContext;
  /** @param masterKey copied, of the primitive's key length. */
  createSalted(aead: Aead, masterKey: Uint8Array): SaltedAead;
}

/** Runs `read`; when it throws, closes the context first. What strangers send must not leave keys to the collector. */
export function closingOnError<Result>(aead: AeadContext, read: () => Result): Result {
  try {
    return read();
  } catch (error) {
    aead.close();
    throw error;
  }
}
