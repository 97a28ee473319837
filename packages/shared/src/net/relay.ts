import { buffers } from '../runtime/buffer-pool.ts';
import { PodsocksError } from '../runtime/errors.ts';
import type { Connection } from './connection.ts';
import type { IdleClock, Idling } from './idle-clock.ts';
import type { Throttle, Throttled } from './throttle.ts';
import type { Traffic } from './traffic.ts';
import type { Transform } from './transform.ts';

/** Bytes in a pooled buffer that passes from hand to hand: whoever has it last gives it back. */
export interface FirstBytes {
  readonly buffer: Uint8Array;
  readonly length: number;
  /** How many bytes of plaintext they stand for. */
  readonly plaintextLength: number;
}

export interface RelayOptions {
  /** Who asked for the relay; it sends `up`. */
  readonly client: Connection;
  /** Where it goes to; it sends `down`. */
  readonly target: Connection;
  readonly up: Transform;
  readonly down: Transform;
  /** Bytes for the target that went through `up` already. */
  readonly first: FirstBytes | undefined;
  readonly clock: IdleClock;
  /** Is added to as bytes go through; default: one of the relay's own. */
  readonly traffic?: Traffic;
  /** Milliseconds without a byte after which both ends are closed; what is held back is not idle. */
  readonly idleTimeout: number;
  /** For both directions; without it they go as fast as they can. */
  readonly throttle?: Throttle | undefined;
  /**
   * Takes over the client when what it sent was refused, instead of a reset that would tell when that was. The target
   * is reset in any case.
   */
  readonly absorb: ((connection: Connection) => void) | undefined;
}

/** How a relay ended. */
export interface RelayEnd {
  /** Bytes of plaintext to the target, and to the client. */
  readonly bytesUp: number;
  readonly bytesDown: number;
  /** Who failed, else who ended first; undefined when it was us. */
  readonly endedBy: 'client' | 'target' | undefined;
  /** Undefined when both ends closed in order. */
  readonly error: Error | undefined;
}

/** A connection that has ended one way and moves no byte the other way is given up after this. */
const HALF_CLOSED_TIMEOUT_MS = 30_000;

/**
 * Moves bytes both ways until both ends have closed, or one failed, or nothing moved for too long. Either direction may
 * end before the other. A side that does not read stops the other side's reads: what is in flight is one buffer each way.
 */
export function relay(options: RelayOptions): Promise<RelayEnd> {
  return new Promise(resolve => new Relay(options, resolve));
}

class Relay implements Idling {
  active = true;
  idleFor = 0;
  idleLimit: number;
  readonly #options: RelayOptions;
  readonly #up: Flow;
  readonly #down: Flow;
  readonly #traffic: Traffic;
  readonly #resolve: (end: RelayEnd) => void;
  /** Whether the connections are still the relay's. */
  #clientOpen = true;
  #targetOpen = true;
  #error: Error | undefined;
  #endedBy: 'client' | 'target' | undefined;
  #done = false;

  constructor(options: RelayOptions, resolve: (end: RelayEnd) => void) {
    this.#options = options;
    this.#resolve = resolve;
    this.idleLimit = options.idleTimeout;
    const { client, target, up, down, first, clock, traffic = { bytesUp: 0, bytesDown: 0 } } = options;
    this.#traffic = traffic;
    const { throttle } = options;
    this.#up = new Flow(this, client, target, up, traffic, 'bytesUp', throttle);
    this.#down = new Flow(this, target, client, down, traffic, 'bytesDown', throttle);
    clock.add(this);
    client.socket.on('error', this.#onClientError).on('close', this.#onClientClose);
    target.socket.on('error', this.#onTargetError).on('close', this.#onTargetClose);
    this.#up.begin(first);
    this.#down.begin(undefined);
    // What happened while the other side was being dialled.
    if (client.socket.readableEnded) this.#up.onSocketEnd();
    if (client.socket.closed) this.#onClientClose();
    if (target.socket.closed) this.#onTargetClose();
  }

  /** `flow` has ended in order. */
  halfClosed(flow: Flow): void {
    this.#endedBy ??= flow === this.#up ? 'client' : 'target';
    this.idleLimit = Math.min(this.#options.idleTimeout, HALF_CLOSED_TIMEOUT_MS);
    this.active = true;
  }

  expire(): void {
    if (this.#up.isHeld || this.#down.isHeld) this.active = true;
    else this.#fail(new PodsocksError('ERR_TIMEOUT', `no byte for ${this.idleFor / 1000} s`));
  }

  /** A transform refused what `source` sent. */
  refuse(flow: Flow, error: Error): void {
    const { client, absorb } = this.#options;
    this.#endedBy ??= flow === this.#up ? 'client' : 'target';
    if (absorb !== undefined && flow === this.#up && error instanceof PodsocksError) {
      client.socket.off('error', this.#onClientError).off('close', this.#onClientClose).off('end', flow.onSocketEnd);
      this.#clientOpen = false;
      absorb(client);
    }
    this.#fail(error);
  }

  /** Ends what is open with RST: neither side may take what it has got for the whole. */
  #fail(error: Error): void {
    this.#error ??= error;
    if (this.#clientOpen) this.#options.client.reset();
    if (this.#targetOpen) this.#options.target.reset();
  }

  readonly #onClientError = (error: Error): void => {
    if (this.#error === undefined) this.#endedBy = 'client';
    this.#fail(error);
  };

  readonly #onTargetError = (error: Error): void => {
    if (this.#error === undefined) this.#endedBy = 'target';
    this.#fail(error);
  };

  readonly #onClientClose = (): void => {
    this.#clientOpen = false;
    this.#up.onSourceClose();
    this.#closed();
  };

  readonly #onTargetClose = (): void => {
    this.#targetOpen = false;
    this.#down.onSourceClose();
    this.#closed();
  };

  #closed(): void {
    if (this.#clientOpen || this.#targetOpen) {
      // In order, a socket closes after both directions have ended; what is left then is the other's last writes.
      if (!this.#up.isEnding || !this.#down.isEnding)
        this.#fail(this.#error ?? new PodsocksError('ERR_CLOSED', 'a connection was closed'));
      return;
    }
    if (this.#done) return; // 'close' also comes for what was found closed at the beginning
    this.#done = true;
    this.#options.clock.remove(this);
    this.#up.close();
    this.#down.close();
    this.#resolve({
      bytesUp: this.#traffic.bytesUp,
      bytesDown: this.#traffic.bytesDown,
      endedBy: this.#endedBy,
      error: this.#error,
    });
  }
}

/** One direction of a relay. */
class Flow implements Throttled {
  readonly source: Connection;
  ended = false;
  /** Whether it waits for its throttle; meanwhile the source is not read. */
  isHeld = false;
  readonly #relay: Relay;
  readonly #sink: Connection;
  readonly #transform: Transform;
  readonly #traffic: Traffic;
  readonly #direction: keyof Traffic;
  readonly #throttle: Throttle | undefined;
  /** What is to go first, while it is held. */
  #first: FirstBytes | undefined;
  /** The buffer that the sink's kernel has not taken yet: at most one, and meanwhile the source is not read. */
  #inFlight: Uint8Array | undefined;
  #refused = false;
  /** Whether the source has; this may still have something to send. */
  #hasEnded = false;

  constructor(
    relay: Relay,
    source: Connection,
    sink: Connection,
    transform: Transform,
    traffic: Traffic,
    direction: keyof Traffic,
    throttle: Throttle | undefined,
  ) {
    this.#relay = relay;
    this.source = source;
    this.#sink = sink;
    this.#transform = transform;
    this.#traffic = traffic;
    this.#direction = direction;
    this.#throttle = throttle;
    source.receive = this.#receive;
    source.socket.on('end', this.onSocketEnd);
  }

  /** Whether nothing more is to come from the source. */
  get isEnding(): boolean {
    return this.ended || (this.#hasEnded && this.#first !== undefined);
  }

  /** Sends what was opened already, and begins to read. */
  begin(first: FirstBytes | undefined): void {
    this.#first = first;
    // Otherwise whoever connects anew for each few bytes would not be held back at all.
    if (this.#throttle !== undefined && !this.#throttle.pass(0)) {
      this.source.socket.pause();
      this.#hold(this.#throttle);
    } else this.#goOn();
  }

  proceed(): void {
    this.isHeld = false;
    this.#relay.active = true;
    this.#goOn();
  }

  #hold(throttle: Throttle): void {
    this.isHeld = true;
    throttle.wait(this);
  }

  #goOn(): void {
    const first = this.#first;
    this.#first = undefined;
    const mayRead = first === undefined || this.send(first.buffer, first.length, first.plaintextLength);
    if (first !== undefined && this.#hasEnded) this.#onEnd();
    if (mayRead && this.#inFlight === undefined && !this.ended) this.source.socket.resume();
  }

  readonly #receive = (input: Uint8Array, length: number): boolean => {
    this.#relay.active = true;
    const transform = this.#transform;
    const out = buffers.take(transform.outLength(length));
    let written: number;
    try {
      written = transform.apply(out, input, length);
    } catch (error) {
      buffers.give(out);
      this.#refuse(error as Error);
      return true;
    }
    if (written > 0) return this.send(out, written, transform.plaintext === 'input' ? length : written);
    buffers.give(out); // all of it was the beginning of a chunk
    return true;
  };

  /** Writes `buffer[0, length)` and gives the buffer back when the kernel has it. Returns whether more may be read. */
  send(buffer: Uint8Array, length: number, plaintextLength: number): boolean {
    const { socket } = this.#sink;
    this.#traffic[this.#direction] += plaintextLength;
    socket.write(length === buffer.length ? buffer : buffer.subarray(0, length), this.#onWritten);
    if (this.#throttle !== undefined && !this.#throttle.pass(plaintextLength)) this.#hold(this.#throttle);
    if (socket.writableLength === 0) {
      buffers.give(buffer);
      return !this.isHeld;
    }
    this.#inFlight = buffer;
    return false;
  }

  readonly #onWritten = (error?: Error | null): void => {
    const { socket } = this.#sink;
    // Also called, late, for writes that the kernel took at once. When the socket has failed the buffer is left to the
    // collector: where writes are asynchronous in the kernel (Windows), it may still be read from.
    if (error || socket.destroyed || this.#inFlight === undefined || socket.writableLength !== 0) return;
    buffers.give(this.#inFlight);
    this.#inFlight = undefined;
    this.#relay.active = true;
    if (!this.isHeld) this.source.socket.resume();
  };

  readonly onSocketEnd = (): void => this.source.confirmEnd(this.#onEnd);

  /** A source whose other direction is over closes with its end: then there is nobody left to confirm it. */
  onSourceClose(): void {
    const { readableEnded, errored } = this.source.socket;
    if (readableEnded && !errored) this.#onEnd();
  }

  readonly #onEnd = (): void => {
    if (this.#refused || this.ended) return;
    this.#hasEnded = true;
    if (this.#first !== undefined) return; // goes first
    try {
      this.#transform.end();
    } catch (error) {
      this.#refuse(error as Error);
      return;
    }
    this.ended = true;
    this.#relay.halfClosed(this);
    this.#sink.socket.end();
  };

  close(): void {
    this.#throttle?.leave(this);
    if (this.#first !== undefined) buffers.give(this.#first.buffer);
    this.#first = undefined;
    this.#transform.close();
  }

  #refuse(error: Error): void {
    this.#refused = true;
    this.#relay.refuse(this, error);
  }
}
