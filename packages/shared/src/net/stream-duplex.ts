import { Duplex } from 'node:stream';
import type { StreamOpener, StreamSealer } from '../crypto/stream.ts';
import { buffers } from '../runtime/buffer-pool.ts';
import { PodsocksError } from '../runtime/errors.ts';
import type { Connection } from './connection.ts';
import type { FirstBytes } from './relay.ts';

export interface StreamDuplexOptions {
  readonly connection: Connection;
  readonly opener: StreamOpener;
  readonly sealer: StreamSealer;
  /** Bytes that were opened already; their buffer is given back. */
  readonly first: FirstBytes | undefined;
}

/**
 * A connection of Shadowsocks, either end, as one of Node's streams, for protocols that a library speaks. Every byte is copied,
 * so it is for little traffic: what is relayed goes by relay.ts.
 *
 * The connection does not read when it is given, and has not met its end. Closing this forgets the keys; the connection stays
 * open, and is the caller's to end.
 */
export class StreamDuplex extends Duplex {
  readonly #connection: Connection;
  readonly #opener: StreamOpener;
  readonly #sealer: StreamSealer;
  #first: FirstBytes | undefined;

  constructor({ connection, opener, sealer, first }: StreamDuplexOptions) {
    super({ allowHalfOpen: true });
    this.#connection = connection;
    this.#opener = opener;
    this.#sealer = sealer;
    this.#first = first;
    connection.receive = this.#receive;
    connection.socket.on('end', this.#onEnd).on('error', this.#onError).on('close', this.#onClose);
  }

  override _read(): void {
    const { socket } = this.#connection;
    if (socket.destroyed) {
      this.#onClose(); // which may have been before this was made
      return;
    }
    const first = this.#first;
    if (first !== undefined) {
      this.#first = undefined;
      const bytes = Buffer.from(first.buffer.subarray(0, first.length));
      buffers.give(first.buffer);
      this.push(bytes);
    }
    socket.resume();
  }

  override _write(chunk: Uint8Array, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    const sealed = new Uint8Array(this.#sealer.sealedLength(chunk.length));
    const length = this.#sealer.seal(sealed, 0, chunk, 0, chunk.length);
    this.#connection.socket.write(sealed.subarray(0, length), done);
  }

  override _final(done: () => void): void {
    this.#connection.socket.end(() => done());
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    const { socket } = this.#connection;
    socket.off('end', this.#onEnd).off('error', this.#onError).off('close', this.#onClose);
    this.#connection.receive = () => true;
    if (this.#first !== undefined) buffers.give(this.#first.buffer);
    this.#first = undefined;
    this.#opener.close();
    this.#sealer.close();
    done(error);
  }

  readonly #receive = (input: Uint8Array, length: number): boolean => {
    const opened = new Uint8Array(this.#opener.openedLength(length));
    try {
      const openedLength = this.#opener.open(opened, 0, input, 0, length);
      return openedLength === 0 || this.push(Buffer.from(opened.buffer, 0, openedLength));
    } catch (error) {
      this.destroy(error as Error);
      return true;
    }
  };

  readonly #onEnd = (): void => {
    this.#connection.confirmEnd(() => {
      if (this.destroyed) return;
      try {
        this.#opener.end();
        this.push(null);
      } catch (error) {
        this.destroy(error as Error);
      }
    });
  };

  readonly #onError = (error: Error): void => void this.destroy(error);

  /** In order, a socket closes after both directions have ended. */
  readonly #onClose = (): void => {
    if (!this.#connection.socket.readableEnded) {
      this.destroy(new PodsocksError('ERR_CLOSED', 'the connection was closed'));
    }
  };
}
