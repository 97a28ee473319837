import { timingSafeEqual } from 'node:crypto';
import { PodsocksError } from '../runtime/errors.ts';
import { decodeResponse, encodeResponse, responseFixedBytes } from '../wire/sip022-header.ts';
import { type AeadContext, closingOnError } from './aead.ts';
import { ChunkOpener, ChunkSealer } from './chunks.ts';
import { MAX_KEY_BYTES } from './key-derivation.ts';
import { TAG_BYTES } from './methods.ts';
import { ResponseOpener } from './response-opener.ts';
import { sip022Context } from './session-context.ts';
import type { Request, StreamOpener, StreamSealer, StreamServices } from './stream.ts';

/*
 * SIP022 response. It begins only when there is data to send:
 *
 *   +------+---------------------+---------------------+----------+
 *   | salt | seal(fixed)         | seal(first payload) | chunk, … |
 *   +------+---------------------+---------------------+----------+
 *     key    1 + 8 + key + 2 + 16  length + 16
 */

/** A header in the clear, used within one call only. */
const headerScratch = new Uint8Array(responseFixedBytes(MAX_KEY_BYTES));

export class Sip022ResponseSealer implements StreamSealer {
  readonly #services: StreamServices;
  /** Until the header has left. */
  #header: { request: Request; salt: Uint8Array } | undefined;
  readonly #aead: AeadContext;
  readonly #chunks: ChunkSealer;

  constructor(services: StreamServices, request: Request) {
    const { method, random } = services;
    const salt = random(method.keyBytes);
    this.#services = services;
    this.#header = { request, salt };
    this.#aead = sip022Context(services, request.user.key, salt);
    this.#chunks = new ChunkSealer(this.#aead, method.maxChunk);
  }

  sealedLength(length: number): number {
    const saltBytes = this.#services.method.keyBytes;
    const header = this.#header === undefined ? 0 : saltBytes + responseFixedBytes(saltBytes) + TAG_BYTES;
    return header + this.#chunks.sealedLength(length);
  }

  seal(out: Uint8Array, outAt: number, input: Uint8Array, inputAt: number, length: number): number {
    if (this.#header === undefined || length === 0) return this.#chunks.seal(out, outAt, input, inputAt, length);
    const { request, salt } = this.#header;
    this.#header = undefined;
    // The header is sent only together with data and stands for the first length chunk.
    const first = Math.min(length, this.#services.method.maxChunk);
    const fixedBytes = responseFixedBytes(salt.length);
    encodeResponse(headerScratch, this.#services.unixTime(), request.salt, first);

    let cursor = outAt;
    out.set(salt, cursor);
    cursor += salt.length;
    this.#aead.seal(out, cursor, headerScratch, 0, fixedBytes);
    cursor += fixedBytes + TAG_BYTES;
    this.#aead.seal(out, cursor, input, inputAt, first);
    cursor += first + TAG_BYTES;
    cursor += this.#chunks.seal(out, cursor, input, inputAt + first, length - first);
    return cursor - outAt;
  }

  close(): void {
    this.#chunks.close();
  }
}

/** @param requestSalt what the response has to repeat. */
export function openSip022Response(services: StreamServices, key: Uint8Array, requestSalt: Uint8Array): StreamOpener {
  const { method, unixTime } = services;
  const saltBytes = method.keyBytes;
  const fixedBytes = responseFixedBytes(saltBytes);
  return new ResponseOpener(saltBytes + fixedBytes + TAG_BYTES, (input, at) => {
    const aead = sip022Context(services, key, input.subarray(at, at + saltBytes));
    return closingOnError(aead, () => {
      if (!aead.open(headerScratch, 0, input, at + saltBytes, fixedBytes)) {
        throw new PodsocksError('ERR_AUTHENTICATION', 'the response does not open with our key');
      }
      const response = decodeResponse(headerScratch, saltBytes, unixTime());
      if (!timingSafeEqual(response.requestSalt, requestSalt)) {
        throw new PodsocksError('ERR_REPLAY', 'the response answers another request');
      }
      return new ChunkOpener(aead, method.maxChunk, response.firstPayloadLength);
    });
  });
}
