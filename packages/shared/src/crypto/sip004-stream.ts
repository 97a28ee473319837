import { buffers } from '../runtime/buffer-pool.ts';
import { PodsocksError } from '../runtime/errors.ts';
import { ADDRESS_MAX_BYTES } from '../wire/address.ts';
import { decodeRequestAddress, encodeRequestAddress, type RequestAddress } from '../wire/request-address.ts';
import { closingOnError } from './aead.ts';
import { ChunkOpener, ChunkSealer, chunkLength, SEALED_LENGTH_BYTES } from './chunks.ts';
import { Reassembly } from './reassembly.ts';
import { ResponseOpener } from './response-opener.ts';
import { sip004Context } from './session-context.ts';
import type {
  Accepted,
  Keyring,
  RequestOpener,
  RequestSealer,
  StreamOpener,
  StreamSealer,
  StreamServices,
  User,
} from './stream.ts';

/*
 * SIP004, each direction:
 *
 *   +-----------------+------------------------------+
 *   | salt            | chunk, chunk, …              |
 *   +-----------------+------------------------------+
 *     as long as key    a request's plaintext begins with ADDR, which chunks may cut anywhere
 */

/** The first length in the clear, used within one call only. */
const lengthScratch = new Uint8Array(2);

/** Salt, then chunks. */
export class Sip004Sealer implements StreamSealer {
  readonly salt: Uint8Array;
  protected readonly chunks: ChunkSealer;
  #saltSent = false;

  constructor(services: StreamServices, key: Uint8Array) {
    const { method, random, replays } = services;
    this.salt = random(method.keyBytes);
    replays.add(this.salt); // so that our own bytes cannot be reflected to us
    this.chunks = new ChunkSealer(sip004Context(services, key, this.salt), method.maxChunk);
  }

  sealedLength(length: number): number {
    return (this.#saltSent ? 0 : this.salt.length) + this.chunks.sealedLength(length);
  }

  seal(out: Uint8Array, outAt: number, input: Uint8Array, inputAt: number, length: number): number {
    if (length === 0) return 0;
    let cursor = outAt;
    if (!this.#saltSent) {
      out.set(this.salt, cursor);
      cursor += this.salt.length;
      this.#saltSent = true;
    }
    cursor += this.chunks.seal(out, cursor, input, inputAt, length);
    return cursor - outAt;
  }

  close(): void {
    this.chunks.close();
  }
}

/** Puts ADDR before the first payload, in one chunk with it where they fit. */
export class Sip004RequestSealer extends Sip004Sealer implements RequestSealer {
  #address: Uint8Array | undefined;

  constructor(services: StreamServices, key: Uint8Array, address: RequestAddress) {
    super(services, key);
    const out = new Uint8Array(ADDRESS_MAX_BYTES);
    this.#address = out.subarray(0, encodeRequestAddress(out, 0, address));
  }

  override sealedLength(length: number): number {
    return super.sealedLength(length + (this.#address?.length ?? 0));
  }

  override seal(out: Uint8Array, outAt: number, input: Uint8Array, inputAt: number, length: number): number {
    const address = this.#address;
    if (address === undefined) return super.seal(out, outAt, input, inputAt, length);
    this.#address = undefined;
    const first = buffers.take(address.length + length);
    first.set(address);
    first.set(input.subarray(inputAt, inputAt + length), address.length);
    const sealed = super.seal(out, outAt, first, 0, address.length + length);
    buffers.give(first);
    return sealed;
  }
}

/** Nothing in a SIP004 response says which request it answers: only its salt tells one that was given before. */
export function openSip004Response(services: StreamServices, key: Uint8Array): StreamOpener {
  const { method, replays } = services;
  return new ResponseOpener(method.keyBytes + SEALED_LENGTH_BYTES, (input, at) => {
    const salt = new Uint8Array(input.subarray(at, at + method.keyBytes)); // a copy, which the filter may keep
    const aead = sip004Context(services, key, salt);
    return closingOnError(aead, () => {
      if (!aead.open(lengthScratch, 0, input, at + method.keyBytes, lengthScratch.length)) {
        throw new PodsocksError('ERR_AUTHENTICATION', 'the response does not open with our key');
      }
      if (replays.add(salt) !== 'fresh') {
        throw new PodsocksError('ERR_REPLAY', 'the response was given before, or is our own request');
      }
      return new ChunkOpener(aead, method.maxChunk, chunkLength(lengthScratch, method.maxChunk));
    });
  });
}

/** Finds the user by trial, checks for replay, then reads ADDR off the plaintext. */
export class Sip004RequestOpener implements RequestOpener {
  accepted: Accepted | undefined;
  readonly #services: StreamServices;
  readonly #keyring: Keyring;
  readonly #clientAddress: string;
  readonly #first = new Reassembly();
  #chunks: ChunkOpener | undefined;
  #salt: Uint8Array | undefined;
  #user: User | undefined;
  /** The beginning of ADDR, while it is cut by chunks. */
  #address: Uint8Array | undefined;
  #addressLength = 0;

  constructor(services: StreamServices, keyring: Keyring, clientAddress: string) {
    this.#services = services;
    this.#keyring = keyring;
    this.#clientAddress = clientAddress;
  }

  openedLength(length: number): number {
    return this.#chunks === undefined ? length : this.#chunks.openedLength(length);
  }

  open(out: Uint8Array, outAt: number, input: Uint8Array, inputAt: number, length: number): number {
    let at = inputAt;
    const end = inputAt + length;
    if (this.#chunks === undefined) {
      if (length === 0) return 0;
      at += this.#first.take(input, at, end, this.#services.method.keyBytes + SEALED_LENGTH_BYTES);
      if (this.#first.carried !== 0) return 0;
      this.#chunks = this.#authenticate(this.#first.source, this.#first.sourceAt);
      this.#first.settle();
    }
    const opened = this.#chunks.open(out, outAt, input, at, end - at);
    return this.accepted === undefined ? this.#takeAddress(out, outAt, opened) : opened;
  }

  #authenticate(input: Uint8Array, at: number): ChunkOpener {
    const { method, replays } = this.#services;
    const salt = new Uint8Array(input.subarray(at, at + method.keyBytes)); // a copy; Buffer.slice would be a view
    for (const user of this.#keyring.candidates(this.#clientAddress)) {
      const aead = sip004Context(this.#services, user.key, salt);
      if (!aead.open(lengthScratch, 0, input, at + method.keyBytes, lengthScratch.length)) {
        aead.close();
        continue;
      }
      return closingOnError(aead, () => {
        if (replays.add(salt) !== 'fresh') {
          throw new PodsocksError('ERR_REPLAY', `the salt of a request of user "${user.name}" was seen before`);
        }
        this.#keyring.matched(this.#clientAddress, user);
        this.#user = user;
        this.#salt = salt;
        return new ChunkOpener(aead, method.maxChunk, chunkLength(lengthScratch, method.maxChunk));
      });
    }
    throw new PodsocksError(
      'ERR_AUTHENTICATION',
      'no key opens the first bytes: wrong password, wrong method, or a probe',
    );
  }

  /** Takes ADDR off `out[outAt, +opened)`, moves what follows to its place, and returns the length of that. */
  #takeAddress(out: Uint8Array, outAt: number, opened: number): number {
    const before = this.#addressLength;
    this.#address ??= new Uint8Array(ADDRESS_MAX_BYTES);
    const added = Math.min(opened, ADDRESS_MAX_BYTES - before);
    this.#address.set(out.subarray(outAt, outAt + added), before);
    this.#addressLength += added;
    const decoded = decodeRequestAddress(this.#address, 0, this.#addressLength);
    if (decoded === undefined) return 0;
    this.#address = undefined;
    const { target, wantsStatus } = decoded;
    const request = { target, wantsStatus, user: this.#user!, salt: this.#salt! };
    this.accepted = { request, stream: this.#chunks! };
    const taken = decoded.length - before;
    out.copyWithin(outAt, outAt + taken, outAt + opened);
    return opened - taken;
  }

  end(): void {
    if (this.accepted === undefined) throw new PodsocksError('ERR_TRUNCATED', 'the request ended inside its header');
    this.#chunks!.end();
  }

  close(): void {
    this.#first.close();
    this.#chunks?.close();
  }
}
