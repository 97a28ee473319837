import { PodsocksError } from '../runtime/errors.ts';
import { SEPARATE_HEADER_BYTES, SESSION_ID_BYTES } from '../wire/sip022-datagram.ts';
import type { AeadContext } from './aead.ts';
import { blockCipher } from './block-cipher.ts';
import { type ClientKeys, IDENTITY_HEADER_BYTES, identityHash } from './key-derivation.ts';
import { TAG_BYTES } from './methods.ts';
import { sip022Context } from './session-context.ts';
import type { Keyring, StreamServices, User } from './stream.ts';
import { XCHACHA_NONCE_BYTES, xchachaContext } from './xchacha.ts';

/*
 * The two constructions of SIP022. The plaintext is the same for both,
 *
 *   +----------------------+-------------+---------+
 *   | separate header, 16  | main header | payload |
 *   +----------------------+-------------+---------+
 *
 * AES (section 3.2.1), with the identity headers of SIP023 from clients only; the nonce is separate header[4..16):
 *
 *   +----------------------+--------------------------+-----------------------------+
 *   | AES(separate header) | identity headers, 16 · n | seal(main header | payload) |
 *   +----------------------+--------------------------+-----------------------------+
 *     under iPSK0, or PSK    k: AES(iPSKk, BLAKE3(PSKk+1)[0..16) ^ separate header)
 *
 * ChaCha20 (section 4.1), XChaCha20-Poly1305 under the PSK itself:
 *
 *   +------------------+-----------------------------------------------+
 *   | random nonce, 24 | seal(separate header | main header | payload) |
 *   +------------------+-----------------------------------------------+
 */

/** Seals the packets of one session. */
export interface PacketSealer {
  /** What a datagram has more than its plaintext. */
  readonly overhead: number;
  /** Writes `length + overhead` bytes at `out[outAt..]`, from the plaintext `plain[0, length)`. */
  seal(out: Uint8Array, outAt: number, plain: Uint8Array, length: number): void;
  /** Forgets the key. */
  close(): void;
}

/** The context of a session that is remembered; undefined for another. May throw to refuse the packet early. */
export type RememberedContext = (user: User, separateHeader: Uint8Array) => AeadContext | undefined;

/** Opens packets of all sessions. */
export interface PacketOpener {
  /** What the shortest datagram has more than its plaintext. */
  readonly overhead: number;

  /**
   * Writes the plaintext of `input[inputAt, +length)`, `length - overhead` bytes, at `out[outAt..]`.
   *
   * @param length at least the separate header's and `overhead`.
   * @throws PodsocksError ERR_AUTHENTICATION.
   */
  open(
    out: Uint8Array,
    outAt: number,
    input: Uint8Array,
    inputAt: number,
    length: number,
    address: string,
    remembered: RememberedContext,
  ): User;

  /** What a session remembers so that its next packets open with less work, if there is such a thing. */
  contextOf(user: User, sessionId: Uint8Array): AeadContext | undefined;
}

/** @param keys the session's key, and those of the identity headers that its packets carry. */
export function packetSealer(services: StreamServices, keys: ClientKeys, sessionId: Uint8Array): PacketSealer {
  return isChaCha(services) ? chachaSealer(services, keys.key) : aesSealer(services, keys, sessionId);
}

/** @param keyring whose packets these may be. */
export function packetOpener(services: StreamServices, keyring: Keyring): PacketOpener {
  return isChaCha(services) ? chachaOpener(services, keyring) : aesOpener(services, keyring);
}

function isChaCha({ method }: StreamServices): boolean {
  return method.aead === 'chacha20-poly1305';
}

function aesSealer(services: StreamServices, { key, identityKeys }: ClientKeys, sessionId: Uint8Array): PacketSealer {
  const aead = sip022Context(services, key, sessionId);
  const headerCipher = blockCipher(identityKeys[0] ?? key);
  const identities = identityKeys.map((identityKey, index) => ({
    cipher: blockCipher(identityKey),
    hash: identityHash(identityKeys[index + 1] ?? key),
  }));
  return {
    overhead: identities.length * IDENTITY_HEADER_BYTES + TAG_BYTES,
    seal(out, outAt, plain, length) {
      const header = plain.subarray(0, SEPARATE_HEADER_BYTES);
      out.set(headerCipher.encrypt(header), outAt);
      let cursor = outAt + SEPARATE_HEADER_BYTES;
      for (const { cipher, hash } of identities) {
        out.set(cipher.encrypt(xor(hash, header)), cursor);
        cursor += IDENTITY_HEADER_BYTES;
      }
      aead.setNonce(nonceOf(header));
      aead.seal(out, cursor, plain, SEPARATE_HEADER_BYTES, length - SEPARATE_HEADER_BYTES);
    },
    close: () => aead.close(),
  };
}

function aesOpener(services: StreamServices, keyring: Keyring): PacketOpener {
  const { identityKey } = keyring;
  const overhead = (identityKey === undefined ? 0 : IDENTITY_HEADER_BYTES) + TAG_BYTES;

  /** Decrypts the separate header, which authenticates nothing, and finds whose it might be. */
  function readHeaders(input: Uint8Array, at: number, address: string): { header: Uint8Array; user: User } {
    const encrypted = input.subarray(at, at + SEPARATE_HEADER_BYTES);
    if (identityKey === undefined) {
      const user = onlyUser(keyring, address);
      return { header: blockCipher(user.key).decrypt(encrypted), user };
    }
    const cipher = blockCipher(identityKey);
    const header = cipher.decrypt(encrypted);
    const identityAt = at + SEPARATE_HEADER_BYTES;
    const identity = cipher.decrypt(input.subarray(identityAt, identityAt + IDENTITY_HEADER_BYTES));
    const user = keyring.byIdentity(xor(identity, header));
    if (user === undefined) throw unauthentic();
    return { header, user };
  }

  return {
    overhead,
    open(out, outAt, input, inputAt, length, address, remembered) {
      const { header, user } = readHeaders(input, inputAt, address);
      const known = remembered(user, header);
      // Of a stranger's packet nothing may be kept, not even a context.
      const aead = known ?? sip022Context(services, user.key, header.subarray(0, SESSION_ID_BYTES));
      aead.setNonce(nonceOf(header));
      const bodyAt = inputAt + SEPARATE_HEADER_BYTES + overhead - TAG_BYTES;
      const bodyLength = length - SEPARATE_HEADER_BYTES - overhead;
      const authentic = aead.open(out, outAt + SEPARATE_HEADER_BYTES, input, bodyAt, bodyLength);
      if (known === undefined) aead.close();
      if (!authentic) throw unauthentic();
      out.set(header, outAt);
      return user;
    },
    contextOf: (user, sessionId) => sip022Context(services, user.key, sessionId),
  };
}

function chachaSealer(services: StreamServices, key: Uint8Array): PacketSealer {
  return {
    overhead: XCHACHA_NONCE_BYTES + TAG_BYTES,
    seal(out, outAt, plain, length) {
      const nonce = services.random(XCHACHA_NONCE_BYTES);
      const aead = xchachaContext(services, key, nonce);
      out.set(nonce, outAt);
      aead.seal(out, outAt + XCHACHA_NONCE_BYTES, plain, 0, length);
      aead.close();
    },
    close() {},
  };
}

function chachaOpener(services: StreamServices, keyring: Keyring): PacketOpener {
  return {
    overhead: XCHACHA_NONCE_BYTES + TAG_BYTES,
    open(out, outAt, input, inputAt, length, address) {
      const user = onlyUser(keyring, address);
      const bodyAt = inputAt + XCHACHA_NONCE_BYTES;
      const aead = xchachaContext(services, user.key, input.subarray(inputAt, bodyAt));
      const authentic = aead.open(out, outAt, input, bodyAt, length - XCHACHA_NONCE_BYTES - TAG_BYTES);
      aead.close();
      if (!authentic) throw unauthentic();
      return user;
    },
    contextOf: () => undefined,
  };
}

function onlyUser(keyring: Keyring, address: string): User {
  for (const user of keyring.candidates(address)) return user;
  throw unauthentic();
}

function nonceOf(separateHeader: Uint8Array): Uint8Array {
  return separateHeader.subarray(4, SEPARATE_HEADER_BYTES);
}

function xor(left: Uint8Array, right: Uint8Array): Uint8Array {
  return left.map((byte, index) => byte ^ right[index]!);
}

function unauthentic(): PodsocksError {
  return new PodsocksError('ERR_AUTHENTICATION', 'no key opens the packet: wrong key, wrong method, or a probe');
}
