import { PodsocksError } from '../runtime/errors.ts';
import type { ChunkOpener } from './chunks.ts';
import { Reassembly } from './reassembly.ts';
import type { StreamOpener } from './stream.ts';

/** A response of either generation: a header of a known length, then chunks. */
export class ResponseOpener implements StreamOpener {
  readonly #headerBytes: number;
  readonly #readHeader: (input: Uint8Array, at: number) => ChunkOpener;
  readonly #header = new Reassembly();
  #chunks: ChunkOpener | undefined;

  /** @param readHeader is given the whole header, at `input[at, +headerBytes)`; throws PodsocksError to refuse it. */
  constructor(headerBytes: number, readHeader: (input: Uint8Array, at: number) => ChunkOpener) {
    this.#headerBytes = headerBytes;
    this.#readHeader = readHeader;
  }

  openedLength(length: number): number {
    return this.#chunks === undefined ? length : this.#chunks.openedLength(length);
  }

  open(out: Uint8Array, outAt: number, input: Uint8Array, inputAt: number, length: number): number {
    if (length === 0) return 0;
    const end = inputAt + length;
    let at = inputAt;
    if (this.#chunks === undefined) {
      at += this.#header.take(input, at, end, this.#headerBytes);
      if (this.#header.carried !== 0) return 0;
      this.#chunks = this.#readHeader(this.#header.source, this.#header.sourceAt);
      this.#header.settle();
    }
    return this.#chunks.open(out, outAt, input, at, end - at);
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
