import type { StreamOpener, StreamSealer } from '../crypto/stream.ts';
import { buffers } from '../runtime/buffer-pool.ts';
import { PodsocksError } from '../runtime/errors.ts';
import type { Target } from '../wire/address.ts';
import {
  decodeRequest,
  encodePacketHeader,
  PACKET_HEADER_MAX_BYTES,
  PacketReader,
  REQUEST_MAX_BYTES,
} from '../wire/udp-over-tcp.ts';
import type { Connection } from './connection.ts';
import type { IdleClock, Idling } from './idle-clock.ts';
import type { FirstBytes } from './relay.ts';

export interface PacketStreamOptions {
  readonly connection: Connection;
  readonly opener: StreamOpener;
  readonly sealer: StreamSealer;
  /**
   * How it begins. The client of version 2 says `send`: its request, which leaves with the first packet. The server of
   * version 2 awaits one. Version 1 has none.
   */
  readonly request: { readonly send: Uint8Array } | 'await' | 'none';
  readonly clock: IdleClock;
  /** Milliseconds without a packet after which it ends. */
  readonly idleTimeout: number;
  /** Takes a packet, `data[at, +length)`, which is valid during the call only. */
  readonly receive: (target: Target, data: Uint8Array, at: number, length: number) => void;
  /** It is over: undefined when the peer ended in order. Called once, and not after {@link PacketStream.close}. */
  readonly ended: (error: Error | undefined) => void;
}

/** What waits for a peer that reads too slowly; packets beyond are dropped, as the network would. */
const MAX_QUEUED_BYTES = 512 * 1024;

/** How long a peer may take to end its side, too. */
const LINGER_MS = 10_000;

/** Datagrams in a stream of Shadowsocks, either end: UDP over TCP. */
export class PacketStream implements Idling {
  active = true;
  idleFor = 0;
  readonly idleLimit: number;
  readonly #options: PacketStreamOptions;
  #reader: PacketReader | undefined;
  /** The beginning of a request, while it is awaited. */
  #request: Uint8Array | undefined;
  /** Ahead of the first packet. */
  #prefix: Uint8Array | undefined;
  #connectedTo: Target | undefined;
  #over = false;

  constructor(options: PacketStreamOptions) {
    const { request, idleTimeout, clock, connection } = options;
    this.#options = options;
    this.idleLimit = idleTimeout;
    if (request === 'await') this.#request = new Uint8Array(0);
    else this.#reader = new PacketReader(undefined);
    if (typeof request === 'object') this.#prefix = request.send;
    clock.add(this);
    connection.receive = this.#receive;
    connection.socket.on('end', this.#onEnd).on('error', this.#onError).on('close', this.#onClose);
  }

  /** Where all packets go to and come from, if the request has said so for all. */
  get connectedTo(): Target | undefined {
    return this.#connectedTo;
  }

  /** Begins to read. @param first bytes that were opened already; the buffer is given back. */
  start(first: FirstBytes | undefined): void {
    const { socket } = this.#options.connection;
    if (first !== undefined) {
      try {
        this.#take(first.buffer, first.length);
      } catch (error) {
        this.#fail(error as Error);
      }
      buffers.give(first.buffer);
    }
    if (this.#over) return;
    if (socket.readableEnded) this.#onEnd();
    if (socket.closed) this.#onClose();
    socket.resume();
  }

  /**
   * Sends `data[at, +length)`, of which nothing is needed any more when this returns.
   *
   * @param target to the server: where it shall go; to the client: where it came from.
   * @returns false when it was dropped because the peer reads too slowly.
   * @throws PodsocksError ERR_ADDRESS when the target cannot be written, ERR_LIMIT when it is longer than a packet can be.
   */
  send(target: Target, data: Uint8Array, at: number, length: number): boolean {
    const { sealer, connection } = this.#options;
    const { socket } = connection;
    if (this.#over || socket.writableLength > MAX_QUEUED_BYTES) return false;
    const prefix = this.#prefix ?? NOTHING;
    const plain = buffers.take(prefix.length + PACKET_HEADER_MAX_BYTES + length);
    plain.set(prefix, 0);
    const address = this.#connectedTo === undefined ? target : undefined;
    const payloadAt = prefix.length + encodePacketHeader(plain, prefix.length, address, length);
    plain.set(data.subarray(at, at + length), payloadAt);
    const sealed = buffers.take(sealer.sealedLength(payloadAt + length));
    const sealedLength = sealer.seal(sealed, 0, plain, 0, payloadAt + length);
    buffers.give(plain);
    this.#prefix = undefined;
    this.active = true;
    socket.write(sealed.subarray(0, sealedLength));
    if (socket.writableLength === 0) buffers.give(sealed); // else the kernel has not taken it yet, and it is the collector's
    return true;
  }

  /** Ends it, in order. */
  close(): void {
    if (!this.#finish()) return;
    const { connection } = this.#options;
    const { socket } = connection;
    connection.receive = () => true;
    socket.end();
    socket.resume();
    const timer = setTimeout(() => connection.reset(), LINGER_MS).unref();
    socket.once('close', () => clearTimeout(timer));
  }

  expire(): void {
    this.#fail(new PodsocksError('ERR_TIMEOUT', `no packet for ${this.idleFor / 1000} s`));
  }

  readonly #receive = (input: Uint8Array, length: number): boolean => {
    if (this.#over) return true;
    const { opener } = this.#options;
    const out = buffers.take(opener.openedLength(length));
    try {
      this.#take(out, opener.open(out, 0, input, 0, length));
    } catch (error) {
      this.#fail(error as Error);
    }
    buffers.give(out);
    return true;
  };

  /** @throws PodsocksError ERR_ADDRESS or ERR_HEADER. */
  #take(plain: Uint8Array, length: number): void {
    let at = 0;
    if (this.#request !== undefined) {
      const held = this.#request;
      const begun = new Uint8Array(Math.min(held.length + length, REQUEST_MAX_BYTES));
      begun.set(held);
      begun.set(plain.subarray(0, begun.length - held.length), held.length);
      const request = decodeRequest(begun, 0, begun.length);
      this.#request = request === undefined ? begun : undefined;
      if (request === undefined) return;
      at = request.length - held.length;
      this.#connectedTo = request.isConnect ? request.target : undefined;
      this.#reader = new PacketReader(this.#connectedTo);
    }
    this.#reader!.read(plain, at, length - at, this.#onPacket);
  }

  readonly #onPacket = (target: Target, data: Uint8Array, at: number, length: number): void => {
    this.active = true;
    if (!this.#over) this.#options.receive(target, data, at, length);
  };

  readonly #onEnd = (): void => {
    const { connection, opener } = this.#options;
    connection.confirmEnd(() => {
      try {
        opener.end();
        const held = this.#request?.length || this.#reader?.heldBytes;
        this.#fail(held ? new PodsocksError('ERR_TRUNCATED', 'the peer ended in the middle of a packet') : undefined);
      } catch (error) {
        this.#fail(error as Error);
      }
    });
  };

  readonly #onError = (error: Error): void => this.#fail(error);

  readonly #onClose = (): void => this.#fail(new PodsocksError('ERR_CLOSED', 'the connection was closed'));

  #fail(error: Error | undefined): void {
    if (this.#finish()) this.#options.ended(error);
  }

  /** @returns whether it was not over yet. */
  #finish(): boolean {
    if (this.#over) return false;
    this.#over = true;
    const { clock, connection, opener, sealer } = this.#options;
    clock.remove(this);
    connection.socket.off('end', this.#onEnd).off('error', this.#onError).off('close', this.#onClose);
    opener.close();
    sealer.close();
    return true;
  }
}

const NOTHING = new Uint8Array(0);
