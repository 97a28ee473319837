import { buffers } from '../runtime/buffer-pool.ts';
import { PodsocksError } from '../runtime/errors.ts';
import type { Target } from '../wire/address.ts';
import {
  encodeSeparateHeader,
  MAIN_HEADER_MAX_BYTES,
  type PacketId,
  SEPARATE_HEADER_BYTES,
  SESSION_ID_BYTES,
} from '../wire/sip022-datagram.ts';
import type { AeadContext } from './aead.ts';
import { type DatagramSealer, type DatagramServices, datagramTooLong, MAX_DATAGRAM_BYTES } from './datagram.ts';
import type { ClientKeys } from './key-derivation.ts';
import { type PacketOpener, type PacketSealer, packetSealer } from './sip022-packet.ts';
import { SlidingWindow } from './sliding-window.ts';
import type { User } from './stream.ts';

/** What both ends of a SIP022 session (section 3.2) have in common: one that is spoken, and those that are heard. */

/** Writes the main header at `out[at..]` and returns its length. */
type WriteHeader = (out: Uint8Array, at: number, unixTime: number, padding: Uint8Array, target: Target) => number;

/** One direction of one session: a random id, and packets numbered from 0. */
export class SessionSealer implements DatagramSealer {
  readonly sessionId: bigint;
  readonly #services: DatagramServices;
  readonly #packets: PacketSealer;
  readonly #writeHeader: WriteHeader;
  /** 2^53 packets never come, so the next id is exact. */
  #nextId = 0;

  constructor(services: DatagramServices, keys: ClientKeys, writeHeader: WriteHeader) {
    const id = services.random(SESSION_ID_BYTES);
    this.sessionId = new DataView(id.buffer, id.byteOffset).getBigUint64(0);
    this.#services = services;
    this.#packets = packetSealer(services, keys, id);
    this.#writeHeader = writeHeader;
  }

  sealedLength(length: number): number {
    const most = this.#packets.overhead + SEPARATE_HEADER_BYTES + MAIN_HEADER_MAX_BYTES + length;
    return Math.min(most, MAX_DATAGRAM_BYTES);
  }

  seal(out: Uint8Array, outAt: number, target: Target, input: Uint8Array, inputAt: number, length: number): number {
    const { padding, unixTime } = this.#services;
    if (length > MAX_DATAGRAM_BYTES) throw datagramTooLong(length);
    const plain = buffers.take(SEPARATE_HEADER_BYTES + MAIN_HEADER_MAX_BYTES + length);
    try {
      const mainAt = SEPARATE_HEADER_BYTES;
      const payloadAt = mainAt + this.#writeHeader(plain, mainAt, unixTime(), padding(target, length), target);
      const sealedLength = payloadAt + length + this.#packets.overhead;
      if (sealedLength > MAX_DATAGRAM_BYTES) throw datagramTooLong(length);
      const id = this.#nextId++; // counted before it is used: it is in the nonce, which must not come again whatever happens
      const packetId = { high: Math.floor(id / 2 ** 32), low: id >>> 0 };
      encodeSeparateHeader(plain, 0, this.sessionId, packetId);
      plain.set(input.subarray(inputAt, inputAt + length), payloadAt);
      this.#packets.seal(out, outAt, plain, payloadAt + length);
      return sealedLength;
    } finally {
      buffers.give(plain);
    }
  }

  close(): void {
    this.#packets.close();
  }
}

/** What is remembered of the other end's session: which packets were seen, and its context where it has one. */
export class HeardSession {
  readonly id: bigint;
  readonly window: SlidingWindow;
  readonly context: AeadContext | undefined;
  /** Of the last packet that was committed, on the monotonic clock. */
  lastMs = 0;

  /** @param window of a session that was closed and goes on; default: that of a new one. */
  constructor(packets: PacketOpener, user: User, id: bigint, window = new SlidingWindow()) {
    const bytes = new Uint8Array(SESSION_ID_BYTES);
    new DataView(bytes.buffer).setBigUint64(0, id);
    this.id = id;
    this.window = window;
    this.context = packets.contextOf(user, bytes);
  }

  /** @throws PodsocksError ERR_REPLAY. */
  checkFresh(packetId: PacketId): void {
    checkFresh(this.window, packetId);
  }

  /** @throws PodsocksError ERR_REPLAY, and nothing has changed. */
  commit(packetId: PacketId, nowMs: number): void {
    if (!this.window.commit(packetId)) throw replayed();
    this.lastMs = nowMs;
  }

  close(): void {
    this.context?.close();
  }
}

/** @throws PodsocksError ERR_REPLAY. */
export function checkFresh(window: SlidingWindow, packetId: PacketId): void {
  if (!window.isFresh(packetId)) throw replayed();
}

function replayed(): PodsocksError {
  return new PodsocksError('ERR_REPLAY', 'the packet was seen before, or is older than what is remembered');
}
