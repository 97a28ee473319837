import { PodsocksError } from '../runtime/errors.ts';
import { ADDRESS_MAX_BYTES, type Target } from '../wire/address.ts';
import {
  decodeRequestFixed,
  decodeRequestVariable,
  encodeRequestFixed,
  encodeRequestVariable,
  MAX_PADDING_BYTES,
  REQUEST_FIXED_BYTES,
} from '../wire/sip022-header.ts';
import { type AeadContext, closingOnError } from './aead.ts';
import { ChunkOpener, ChunkSealer } from './chunks.ts';
import {
  type ClientKeys,
  IDENTITY_HEADER_BYTES,
  identityHash,
  openIdentity,
  sealIdentity,
  sip022Subkey,
} from './key-derivation.ts';
import { TAG_BYTES } from './methods.ts';
import { Reassembly } from './reassembly.ts';
import type { Accepted, Keyring, RequestOpener, RequestSealer, StreamServices, User } from './stream.ts';

/*
 * SIP022 request with the identity headers of SIP023:
 *
 *   +------+------------------+------------------+----------------+----------+
 *   | salt | identity headers | seal(fixed)      | seal(variable) | chunk, … |
 *   +------+------------------+------------------+----------------+----------+
 *     key    16 each            11 + 16            length + 16
 */

export class Sip022RequestSealer implements RequestSealer {
  readonly salt: Uint8Array;
  readonly #services: StreamServices;
  readonly #keys: ClientKeys;
  readonly #aead: AeadContext;
  readonly #chunks: ChunkSealer;
  #target: Target | undefined;

  constructor(services: StreamServices, keys: ClientKeys, target: Target) {
    const { method, backend, random } = services;
    this.#services = services;
    this.#keys = keys;
    this.#target = target;
    this.salt = random(method.keyBytes);
    this.#aead = backend.create(method.aead, sip022Subkey(keys.key, this.salt));
    this.#chunks = new ChunkSealer(this.#aead, method.maxChunk);
  }

  sealedLength(length: number): number {
    if (this.#target === undefined) return this.#chunks.sealedLength(length);
    const identity = this.#keys.identityKeys.length * IDENTITY_HEADER_BYTES;
    const variable = ADDRESS_MAX_BYTES + 2 + MAX_PADDING_BYTES + TAG_BYTES;
    return this.salt.length + identity + REQUEST_FIXED_BYTES + TAG_BYTES + variable + this.#chunks.sealedLength(length);
  }

  seal(out: Uint8Array, outAt: number, input: Uint8Array, inputAt: number, length: number): number {
    const target = this.#target;
    if (target === undefined) return this.#chunks.seal(out, outAt, input, inputAt, length);
    this.#target = undefined;
    const { method, random, unixTime } = this.#services;

    const paddingLength = length > 0 ? 0 : 1 + (Buffer.from(random(4)).readUInt32BE() % MAX_PADDING_BYTES);
    const headRoom = ADDRESS_MAX_BYTES + 2 + paddingLength;
    const first = Math.min(length, method.maxChunk - headRoom);
    const variable = new Uint8Array(headRoom + first);
    const head = encodeRequestVariable(variable, target, paddingLength);
    variable.set(input.subarray(inputAt, inputAt + first), head);
    const fixed = new Uint8Array(REQUEST_FIXED_BYTES);
    encodeRequestFixed(fixed, unixTime(), head + first);

    let cursor = outAt;
    out.set(this.salt, cursor);
    cursor += this.salt.length;
    cursor += this.#writeIdentity(out, cursor);
    this.#aead.seal(out, cursor, fixed, 0, fixed.length);
    cursor += fixed.length + TAG_BYTES;
    this.#aead.seal(out, cursor, variable, 0, head + first);
    cursor += head + first + TAG_BYTES;
    cursor += this.#chunks.seal(out, cursor, input, inputAt + first, length - first);
    return cursor - outAt;
  }

  /** SIP023: header k, under iPSK k, names the next key; the last one names the user. */
  #writeIdentity(out: Uint8Array, outAt: number): number {
    const { identityKeys, key } = this.#keys;
    identityKeys.forEach((identityKey, index) => {
      const next = identityKeys[index + 1] ?? key;
      out.set(sealIdentity(identityKey, this.salt, identityHash(next)), outAt + index * IDENTITY_HEADER_BYTES);
    });
    return identityKeys.length * IDENTITY_HEADER_BYTES;
  }

  close(): void {
    this.#chunks.close();
  }
}

export class Sip022RequestOpener implements RequestOpener {
  accepted: Accepted | undefined;
  readonly #services: StreamServices;
  readonly #keyring: Keyring;
  readonly #clientAddress: string;
  readonly #units = new Reassembly();
  /** Known once the fixed header was authenticated, timely and not a replay. */
  #session: { aead: AeadContext; user: User; salt: Uint8Array; variableLength: number } | undefined;
  #chunks: ChunkOpener | undefined;

  constructor(services: StreamServices, keyring: Keyring, clientAddress: string) {
    this.#services = services;
    this.#keyring = keyring;
    this.#clientAddress = clientAddress;
  }

  openedLength(length: number): number {
    return this.#chunks === undefined ? this.#units.carried + length : this.#chunks.openedLength(length);
  }

  open(out: Uint8Array, outAt: number, input: Uint8Array, inputAt: number, length: number): number {
    const end = inputAt + length;
    let at = inputAt;
    let cursor = outAt;
    while (this.#chunks === undefined && at < end) {
      const units = this.#units;
      at += units.take(input, at, end, this.#session === undefined ? this.#fixedLength() : this.#variableLength());
      if (units.carried !== 0) return 0;
      if (this.#session === undefined) this.#readFixed(units.source, units.sourceAt);
      else cursor += this.#readVariable(out, outAt, units.source, units.sourceAt);
    }
    if (this.#chunks === undefined) return 0;
    this.#units.settle();
    cursor += this.#chunks.open(out, cursor, input, at, end - at);
    return cursor - outAt;
  }

  #fixedLength(): number {
    const identity = this.#keyring.identityKey === undefined ? 0 : IDENTITY_HEADER_BYTES;
    return this.#services.method.keyBytes + identity + REQUEST_FIXED_BYTES + TAG_BYTES;
  }

  #variableLength(): number {
    return this.#session!.variableLength + TAG_BYTES;
  }

  #readFixed(input: Uint8Array, at: number): void {
    const { method, backend, unixTime, replays } = this.#services;
    const salt = new Uint8Array(input.subarray(at, at + method.keyBytes)); // a copy; Buffer.slice would be a view
    let cursor = at + method.keyBytes;
    let user: User | undefined;
    if (this.#keyring.identityKey === undefined) {
      [user] = this.#keyring.candidates(this.#clientAddress);
    } else {
      const header = input.subarray(cursor, cursor + IDENTITY_HEADER_BYTES);
      user = this.#keyring.byIdentity(openIdentity(this.#keyring.identityKey, salt, header));
      cursor += IDENTITY_HEADER_BYTES;
    }
    if (user === undefined) throw unauthentic();
    const aead = backend.create(method.aead, sip022Subkey(user.key, salt));
    const variableLength = closingOnError(aead, () => {
      const fixed = new Uint8Array(REQUEST_FIXED_BYTES);
      if (!aead.open(fixed, 0, input, cursor, fixed.length)) throw unauthentic();
      const length = decodeRequestFixed(fixed, unixTime());
      const verdict = replays.add(salt);
      if (verdict === 'replayed') {
        throw new PodsocksError('ERR_REPLAY', `the salt of a request of user "${user.name}" was seen before`);
      }
      if (verdict === 'full') {
        throw new PodsocksError('ERR_LIMIT', 'more requests within a minute than the replay filter can remember');
      }
      return length;
    });
    this.#session = { aead, user, salt, variableLength };
  }

  /** Reads the variable header, writes the first payload at `out[outAt..]`, and returns its length. */
  #readVariable(out: Uint8Array, outAt: number, input: Uint8Array, at: number): number {
    const { aead, user, salt, variableLength } = this.#session!;
    const variable = new Uint8Array(variableLength);
    if (!aead.open(variable, 0, input, at, variableLength)) throw unauthentic();
    const { target, payloadAt } = decodeRequestVariable(variable, variableLength);
    out.set(variable.subarray(payloadAt), outAt);
    this.#chunks = new ChunkOpener(aead, this.#services.method.maxChunk);
    this.accepted = { request: { target, user, salt }, stream: this.#chunks };
    return variableLength - payloadAt;
  }

  end(): void {
    if (this.#chunks === undefined) throw new PodsocksError('ERR_TRUNCATED', 'the request ended inside its header');
    this.#chunks.end();
  }

  close(): void {
    this.#units.close();
    this.#session?.aead.close();
    this.#chunks?.close();
  }
}

function unauthentic(): PodsocksError {
  return new PodsocksError('ERR_AUTHENTICATION', 'no key opens the first bytes: wrong key, wrong method, or a probe');
}
