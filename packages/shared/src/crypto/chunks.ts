import { PodsocksError } from '../runtime/errors.ts';
import type { AeadContext } from './aead.ts';
import { TAG_BYTES } from './methods.ts';
import { Reassembly } from './reassembly.ts';

/*
 * Chunk, the same in SIP004 and SIP022; the nonce moves after each of the two operations:
 *
 *   +--------------------+----------------------+
 *   | seal(length u16)   | seal(payload)        |
 *   +--------------------+----------------------+
 *     2 + 16               length + 16            1 <= length <= 0x3FFF (SIP004) or 0xFFFF (SIP022)
 */
const LENGTH_BYTES = 2;
export const SEALED_LENGTH_BYTES = LENGTH_BYTES + TAG_BYTES;
const CHUNK_OVERHEAD = SEALED_LENGTH_BYTES + TAG_BYTES;

/** A length in the clear, used within one call only: an idle connection has none of its own. */
const lengthScratch = new Uint8Array(LENGTH_BYTES);

/** Plaintext to chunks, each as large as allowed. */
export class ChunkSealer {
  readonly #aead: AeadContext;
  readonly #maxChunk: number;

  constructor(aead: AeadContext, maxChunk: number) {
    this.#aead = aead;
    this.#maxChunk = maxChunk;
  }

  sealedLength(length: number): number {
    return length + Math.ceil(length / this.#maxChunk) * CHUNK_OVERHEAD;
  }

  /** @returns the bytes written: exactly `sealedLength(length)`. */
  seal(out: Uint8Array, outAt: number, input: Uint8Array, inputAt: number, length: number): number {
    let cursor = outAt;
    for (let done = 0; done < length; ) {
      const chunk = Math.min(length - done, this.#maxChunk);
      lengthScratch[0] = chunk >>> 8;
      lengthScratch[1] = chunk & 0xff;
      this.#aead.seal(out, cursor, lengthScratch, 0, LENGTH_BYTES);
      cursor += SEALED_LENGTH_BYTES;
      this.#aead.seal(out, cursor, input, inputAt + done, chunk);
      cursor += chunk + TAG_BYTES;
      done += chunk;
    }
    return cursor - outAt;
  }

  close(): void {
    this.#aead.close();
  }
}

/** Chunks to plaintext, whatever the split. */
export class ChunkOpener {
  readonly #aead: AeadContext;
  readonly #maxChunk: number;
  readonly #units = new Reassembly();
  /** The length of the payload that comes next, or -1 when a length does. */
  #payload: number;

  /** @param firstPayload set when a header has already told the length of the first payload. */
  constructor(aead: AeadContext, maxChunk: number, firstPayload = -1) {
    this.#aead = aead;
    this.#maxChunk = maxChunk;
    this.#payload = firstPayload;
  }

  openedLength(length: number): number {
    return this.#units.carried + length;
  }

  /** @throws PodsocksError ERR_AUTHENTICATION or ERR_HEADER. */
  open(out: Uint8Array, outAt: number, input: Uint8Array, inputAt: number, length: number): number {
    const end = inputAt + length;
    const units = this.#units;
    let cursor = outAt;
    for (let at = inputAt; at < end; ) {
      const inPayload = this.#payload !== -1;
      const plain = inPayload ? this.#payload : LENGTH_BYTES;
      at += units.take(input, at, end, plain + TAG_BYTES);
      if (units.carried !== 0) return cursor - outAt;
      if (inPayload) {
        if (!this.#aead.open(out, cursor, units.source, units.sourceAt, plain)) throw altered();
        cursor += plain;
        this.#payload = -1;
      } else {
        if (!this.#aead.open(lengthScratch, 0, units.source, units.sourceAt, LENGTH_BYTES)) throw altered();
        this.#payload = chunkLength(lengthScratch, this.#maxChunk);
      }
    }
    units.settle();
    return cursor - outAt;
  }

  /** @throws PodsocksError ERR_TRUNCATED inside a chunk. */
  end(): void {
    if (this.#payload !== -1 || this.#units.carried !== 0) {
      throw new PodsocksError('ERR_TRUNCATED', 'the stream ended inside a chunk');
    }
  }

  close(): void {
    this.#aead.close();
    this.#units.close();
  }
}

/**
 * The length in an opened length chunk.
 *
 * @throws PodsocksError ERR_HEADER for 0 (libev refuses it too) and for more than the method allows: the top bits are
 *   not masked away, or a peer could tell one implementation from another by them.
 */
export function chunkLength(opened: Uint8Array, maxChunk: number): number {
  const length = (opened[0]! << 8) | opened[1]!;
  if (length === 0 || length > maxChunk) {
    throw new PodsocksError('ERR_HEADER', `a chunk says it has ${length} bytes; 1..${maxChunk} are allowed`);
  }
  return length;
}

function altered(): PodsocksError {
  return new PodsocksError('ERR_AUTHENTICATION', 'a chunk was altered on its way, or sealed under another key');
}
