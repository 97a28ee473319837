import { buffers } from '../runtime/buffer-pool.ts';
import { PodsocksError } from '../runtime/errors.ts';
import { ADDRESS_MAX_BYTES } from '../wire/address.ts';
import type { RequestAddress } from '../wire/request-address.ts';
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
import { type ClientKeys, IDENTITY_HEADER_BYTES, identityHash, openIdentity, sealIdentity } from './key-derivation.ts';
import { TAG_BYTES } from './methods.ts';
import { Reassembly } from './reassembly.ts';
import { sip022Context } from './session-context.ts';
import type { Accepted, Keyring, RequestOpener, RequestSealer, StreamServices, User } from './stream.ts';

/*
 * SIP022 request with the identity headers of SIP023:
 *
 *   +------+------------------+------------------+----------------+----------+
 *   | salt | identity headers | seal(fixed)      | seal(variable) | chunk, … |
 *   +------+------------------+------------------+----------------+----------+
 *     key    16 each            11 + 16            length + 16
 */

/** A fixed header in the clear, used within one call only. */
const fixedScratch = new Uint8Array(REQUEST_FIXED_BYTES);

export class Sip022RequestSealer implements RequestSealer {
  readonly salt: Uint8Array;
  readonly #services: StreamServices;
  readonly #keys: ClientKeys;
  readonly #aead: AeadContext;
  readonly #chunks: ChunkSealer;
  /** Until the header has left. */
  #address: RequestAddress | undefined;

  constructor(services: StreamServices, keys: ClientKeys, address: RequestAddress) {
    const { method, random } = services;
    this.#services = services;
    this.#keys = keys;
    this.#address = address;
    this.salt = random(method.keyBytes);
    this.#aead = sip022Context(services, keys.key, this.salt);
    this.#chunks = new ChunkSealer(this.#aead, method.maxChunk);
  }

  sealedLength(length: number): number {
    if (this.#address === undefined) return this.#chunks.sealedLength(length);
    const identity = this.#keys.identityKeys.length * IDENTITY_HEADER_BYTES;
    const variable = ADDRESS_MAX_BYTES + 2 + MAX_PADDING_BYTES + TAG_BYTES;
    return this.salt.length + identity + REQUEST_FIXED_BYTES + TAG_BYTES + variable + this.#chunks.sealedLength(length);
  }

  seal(out: Uint8Array, outAt: number, input: Uint8Array, inputAt: number, length: number): number {
    const address = this.#address;
    if (address === undefined) return this.#chunks.seal(out, outAt, input, inputAt, length);
    this.#address = undefined;
    const { method, random, unixTime } = this.#services;

    const paddingLength = length > 0 ? 0 : 1 + (Buffer.from(random(4)).readUInt32BE() % MAX_PADDING_BYTES);
    const headRoom = ADDRESS_MAX_BYTES + 2 + paddingLength;
    const first = Math.min(length, method.maxChunk - headRoom);
    const variable = buffers.take(headRoom + first);
    variable.fill(0, 0, headRoom); // padding: what was in it before belongs to others
    const head = encodeRequestVariable(variable, address, paddingLength);
    variable.set(input.subarray(inputAt, inputAt + first), head);
    encodeRequestFixed(fixedScratch, unixTime(), head + first);

    let cursor = outAt;
    out.set(this.salt, cursor);
    cursor += this.salt.length;
    cursor += this.#writeIdentity(out, cursor);
    this.#aead.seal(out, cursor, fixedScratch, 0, REQUEST_FIXED_BYTES);
    cursor += REQUEST_FIXED_BYTES + TAG_BYTES;
    this.#aead.seal(out, cursor, variable, 0, head + first);
    buffers.give(variable);
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
    const { method, unixTime, replays } = this.#services;
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
    const aead = sip022Context(this.#services, user.key, salt);
    const variableLength = closingOnError(aead, () => {
      if (!aead.open(fixedScratch, 0, input, cursor, REQUEST_FIXED_BYTES)) throw unauthentic();
      const length = decodeRequestFixed(fixedScratch, unixTime());
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
    // Opened where the payload will be, which then moves to the front: `out` has room for all of the input.
    if (!aead.open(out, outAt, input, at, variableLength)) throw unauthentic();
    const { target, wantsStatus, payloadAt } = decodeRequestVariable(out.subarray(outAt), variableLength);
    out.copyWithin(outAt, outAt + payloadAt, outAt + variableLength);
    this.#chunks = new ChunkOpener(aead, this.#services.method.maxChunk);
    this.accepted = { request: { target, wantsStatus, user, salt }, stream: this.#chunks };
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
