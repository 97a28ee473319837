import { timingSafeEqual } from 'node:crypto';
import { PodsocksError } from '../runtime/errors.ts';
import { decodeResponse, encodeResponse, responseFixedBytes } from '../wire/sip022-header.ts';
import type { AeadContext } from './aead.ts';
import { ChunkOpener, ChunkSealer } from './chunks.ts';
import { type ClientKeys, sip022Subkey } from './key-derivation.ts';
import { TAG_BYTES } from './methods.ts';
import { Reassembly } from './reassembly.ts';
import type { Request, StreamOpener, StreamSealer, StreamServices } from './stream.ts';

/*
 * SIP022 response. It begins only when there is data to send:
 *
 *   +------+---------------------+---------------------+----------+
 *   | salt | seal(fixed)         | seal(first payload) | chunk, … |
 *   +------+---------------------+---------------------+----------+
 *     key    1 + 8 + key + 2 + 16  length + 16
 */

export class Sip022ResponseSealer implements StreamSealer {
  readonly #services: StreamServices;
  /** Until the header has left. */
  #request: Request | undefined;
  readonly #salt: Uint8Array;
  readonly #aead: AeadContext;
  readonly #chunks: ChunkSealer;

  constructor(services: StreamServices, request: Request) {
    const { method, backend, random } = services;
    this.#services = services;
    this.#request = request;
    this.#salt = random(method.keyBytes);
    this.#aead = backend.create(method.aead, sip022Subkey(request.user.key, this.#salt));
    this.#chunks = new ChunkSealer(this.#aead, method.maxChunk);
  }

  sealedLength(length: number): number {
    const header =
      this.#request === undefined ? 0 : this.#salt.length + responseFixedBytes(this.#salt.length) + TAG_BYTES;
    return header + this.#chunks.sealedLength(length);
  }

  seal(out: Uint8Array, outAt: number, input: Uint8Array, inputAt: number, length: number): number {
    const request = this.#request;
    if (request === undefined || length === 0) return this.#chunks.seal(out, outAt, input, inputAt, length);
    this.#request = undefined;
    // The header is sent only together with data and stands for the first length chunk.
    const first = Math.min(length, this.#services.method.maxChunk);
    const fixed = new Uint8Array(responseFixedBytes(this.#salt.length));
    encodeResponse(fixed, this.#services.unixTime(), request.salt, first);

    let cursor = outAt;
    out.set(this.#salt, cursor);
    cursor += this.#salt.length;
    this.#aead.seal(out, cursor, fixed, 0, fixed.length);
    cursor += fixed.length + TAG_BYTES;
    this.#aead.seal(out, cursor, input, inputAt, first);
    cursor += first + TAG_BYTES;
    cursor += this.#chunks.seal(out, cursor, input, inputAt + first, length - first);
    return cursor - outAt;
  }

  close(): void {
    this.#chunks.close();
  }
}

export class Sip022ResponseOpener implements StreamOpener {
  readonly #services: StreamServices;
  readonly #key: Uint8Array;
  readonly #requestSalt: Uint8Array;
  readonly #header = new Reassembly();
  #chunks: ChunkOpener | undefined;

  constructor(services: StreamServices, keys: ClientKeys, requestSalt: Uint8Array) {
    this.#services = services;
    this.#key = keys.key;
    this.#requestSalt = requestSalt;
  }

  openedLength(length: number): number {
    return this.#chunks === undefined ? length : this.#chunks.openedLength(length);
  }

  open(out: Uint8Array, outAt: number, input: Uint8Array, inputAt: number, length: number): number {
    let at = inputAt;
    const end = inputAt + length;
    if (this.#chunks === undefined) {
      if (length === 0) return 0;
      const saltBytes = this.#services.method.keyBytes;
      at += this.#header.take(input, at, end, saltBytes + responseFixedBytes(saltBytes) + TAG_BYTES);
      if (this.#header.carried !== 0) return 0;
      this.#chunks = this.#readHeader(this.#header.source, this.#header.sourceAt);
      this.#header.settle();
    }
    return this.#chunks.open(out, outAt, input, at, end - at);
  }

  #readHeader(input: Uint8Array, at: number): ChunkOpener {
    const { method, backend, unixTime } = this.#services;
    const saltBytes = method.keyBytes;
    const aead = backend.create(method.aead, sip022Subkey(this.#key, input.subarray(at, at + saltBytes)));
    const fixed = new Uint8Array(responseFixedBytes(saltBytes));
    if (!aead.open(fixed, 0, input, at + saltBytes, fixed.length)) {
      throw new PodsocksError('ERR_AUTHENTICATION', 'the response does not open with our key');
    }
    const { requestSalt, firstPayloadLength } = decodeResponse(fixed, saltBytes, unixTime());
    if (!timingSafeEqual(requestSalt, this.#requestSalt)) {
      throw new PodsocksError('ERR_REPLAY', 'the response answers another request');
    }
    return new ChunkOpener(aead, method.maxChunk, firstPayloadLength);
  }

  end(): void {
    // No byte at all is a server whose target said nothing.
    if (this.#header.carried !== 0) throw new PodsocksError('ERR_TRUNCATED', 'the response ended inside its header');
    this.#chunks?.end();
  }

  close(): void {
    this.#header.close();
    this.#chunks?.close();
  }
}
