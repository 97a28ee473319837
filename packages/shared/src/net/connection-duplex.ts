import { Duplex } from 'node:stream';
import { PodsocksError } from '../runtime/errors.ts';
import type { Connection } from './connection.ts';

const NOTHING = new Uint8Array(0);

/**
 * A connection as one of Node's streams, for protocols that a library speaks. Every byte that is read is copied, so it is for
 * little traffic: what is relayed goes by relay.ts.
 *
 * The connection does not read when it is given, and has not met its end. It closes with the stream: in order after both
 * directions have ended or with `destroy()`, by a reset with `destroy(error)`.
 */
export class ConnectionDuplex extends Duplex {
  readonly #connection: Connection;
  #first: Uint8Array;
  #isDetached = false;

  /** @param first what was read already; it is kept, not copied. */
  constructor(connection: Connection, first: Uint8Array = NOTHING) {
    super({ allowHalfOpen: true });
    this.#connection = connection;
    this.#first = first;
    connection.receive = this.#receive;
    connection.socket.on('end', this.#onEnd).on('error', this.#onError).on('close', this.#onClose);
    this.on('error', ignore);
  }

  /**
   * Gives the connection back, which does not read any more, and destroys the stream without touching it. To be called when
   * nobody listens for 'data' any more and all that was written has gone.
   *
   * @returns what was read and not consumed.
   */
  detach(): Uint8Array {
    this.#isDetached = true;
    this.#leave();
    this.#connection.socket.pause();
    const unread = this.#first.length > 0 ? [this.#first] : [];
    this.#first = NOTHING;
    for (let chunk = this.read(); chunk !== null; chunk = this.read()) unread.push(chunk);
    this.destroy();
    return Buffer.concat(unread);
  }

  override _read(): void {
    if (this.#isDetached) return;
    const { socket } = this.#connection;
    if (this.#first.length > 0) {
      const first = this.#first;
      this.#first = NOTHING;
      this.push(first);
      if (this.#isDetached || this.destroyed) return; // by whoever has just got them
    }
    if (socket.destroyed)
      this.#onClose(); // which may have been before this was made
    else socket.resume();
  }

  override _write(chunk: Uint8Array, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#connection.socket.write(chunk, done);
  }

  /** A head and the beginning of its body leave in one packet. */
  override _writev(chunks: readonly { readonly chunk: Uint8Array }[], done: (error?: Error | null) => void): void {
    const { socket } = this.#connection;
    socket.cork();
    chunks.forEach(({ chunk }, index) => {
      if (index < chunks.length - 1) socket.write(chunk);
      else socket.write(chunk, done);
    });
    socket.uncork();
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#connection.socket.end(done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    if (!this.#isDetached) {
      this.#leave();
      this.#connection.receive = () => true;
      if (error === null) this.#connection.close();
      else this.#connection.reset();
    }
    done(error);
  }

  #leave(): void {
    this.#connection.socket.off('end', this.#onEnd).off('error', this.#onError).off('close', this.#onClose);
  }

  readonly #receive = (input: Uint8Array, length: number): boolean => this.push(Buffer.from(input.subarray(0, length)));

  readonly #onEnd = (): void => {
    this.#connection.confirmEnd(() => {
      if (!this.destroyed) this.push(null);
    });
  };

  readonly #onError = (error: Error): void => void this.destroy(error);

  /** In order, a socket closes after both directions have ended. */
  readonly #onClose = (): void => {
    const { readableEnded, writableFinished } = this.#connection.socket;
    if (!readableEnded || !writableFinished) {
      this.destroy(new PodsocksError('ERR_CLOSED', 'the connection was closed'));
    }
  };
}

/** Whoever cares listens too; 'close' follows it. */
function ignore(): void {}
