import { hchacha } from '@noble/ciphers/chacha.js';
import type { AeadContext } from './aead.ts';
import type { StreamServices } from './stream.ts';

/*
 * XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha section 2.3) is ChaCha20-Poly1305 under a key of its own for each nonce:
 *
 *   key'   = HChaCha20(key, nonce[0..16))
 *   nonce' = 00 00 00 00 | nonce[16..24)
 */
export const XCHACHA_NONCE_BYTES = 24;

/** "expand 32-byte k" (RFC 8439 section 2.3). */
const SIGMA = words(Buffer.from('expand 32-byte k', 'latin1'));

const subkey = new Uint32Array(8);
const subkeyBytes = new Uint8Array(subkey.buffer);
const subnonce = new Uint8Array(12);

/**
 * The context of one packet: with HChaCha20 here any backend that has ChaCha20-Poly1305 can do the rest of it, and only
 * one has XChaCha20 itself.
 *
 * @param services of a method whose `aead` is chacha20-poly1305.
 */
export function xchachaContext(
  { method, backend }: Pick<StreamServices, 'method' | 'backend'>,
  key: Uint8Array,
  nonce: Uint8Array,
): AeadContext {
  const keyWords = words(key);
  hchacha(SIGMA, keyWords, words(nonce.subarray(0, 16)), subkey);
  const context = backend.create(method.aead, subkeyBytes);
  keyWords.fill(0);
  subkey.fill(0);
  subnonce.set(nonce.subarray(16, XCHACHA_NONCE_BYTES), 4);
  context.setNonce(subnonce);
  return context;
}

/** An aligned copy; hchacha itself sees to the byte order of the machine. */
function words(bytes: Uint8Array): Uint32Array {
  return new Uint32Array(Uint8Array.from(bytes).buffer);
}
