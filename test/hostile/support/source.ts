import { once } from 'node:events';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { PseudoRandom } from '../../support/pseudo-random.ts';

const PIECE_BYTES = 64 * 1024;
const REST_BYTES = 4 * 1024 * 1024;

/** More than the socket buffers between two programs with ss-local and ss-server between them can take. */
const KERNELS_BYTES = 96 * 1024 * 1024;

export interface Digest {
  readonly bytes: number;
  readonly sha256: string;
}

/** Sends without end, as fast as the other side takes it. */
export class Source {
  readonly #socket: Socket;
  readonly #bytes: PseudoRandom;
  readonly #seal: (bytes: Buffer) => Buffer;
  readonly #done: Promise<void>;
  #sent = 0;
  #endAfter = Number.POSITIVE_INFINITY;

  /** @param seal what to do to the bytes before they are sent. */
  constructor(socket: Socket, seed: string, seal = (bytes: Buffer) => bytes) {
    this.#socket = socket;
    this.#bytes = new PseudoRandom(seed);
    this.#seal = seal;
    this.#done = this.#send();
  }

  async #send(): Promise<void> {
    while (this.#sent < this.#endAfter) {
      this.#sent += PIECE_BYTES;
      const hasRoom = this.#socket.write(this.#seal(this.#bytes.take(PIECE_BYTES)));
      if (!hasRoom) await once(this.#socket, 'drain');
    }
    this.#socket.end();
  }

  /** Resolves when nothing has moved for a while; throws when more was taken than kernels can hold. */
  async stalled(): Promise<void> {
    for (let before = -1; before !== this.#sent; ) {
      if (this.#sent > KERNELS_BYTES) throw new Error(`${this.#sent} bytes were taken while nobody read them`);
      before = this.#sent;
      await sleep(300);
    }
  }

  /** Sends some more, then ends; what was sent in all. */
  async end(): Promise<Digest> {
    this.#endAfter = this.#sent + REST_BYTES;
    await this.#done;
    return { bytes: this.#sent, sha256: this.#bytes.digest() };
  }
}
