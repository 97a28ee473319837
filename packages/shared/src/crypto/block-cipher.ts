import { createCipheriv, createDecipheriv } from 'node:crypto';

/** AES on single blocks of 16 bytes, for the separate headers of SIP022 and the identity headers of SIP023 in datagrams. */
export interface BlockCipher {
  encrypt(block: Uint8Array): Uint8Array;
  decrypt(block: Uint8Array): Uint8Array;
}

/** As long as somebody holds the key. */
const known = new WeakMap<Uint8Array, BlockCipher>();

/**
 * The cipher of a key, which must not change. ECB has no state beyond the key, so one object of OpenSSL does for all
 * blocks: making one costs several times what a block does.
 */
export function blockCipher(key: Uint8Array): BlockCipher {
  let cipher = known.get(key);
  if (cipher === undefined) {
    cipher = ecb(key);
    known.set(key, cipher);
  }
  return cipher;
}

function ecb(key: Uint8Array): BlockCipher {
  const algorithm = `aes-${key.length * 8}-ecb`;
  const cipher = createCipheriv(algorithm, key, null).setAutoPadding(false);
  const decipher = createDecipheriv(algorithm, key, null).setAutoPadding(false);
  return { encrypt: block => cipher.update(block), decrypt: block => decipher.update(block) };
}
