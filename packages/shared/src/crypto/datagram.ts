import { PodsocksError } from '../runtime/errors.ts';
import type { Target } from '../wire/address.ts';
import type { PacketId } from '../wire/sip022-datagram.ts';
import type { ClientKeys } from './key-derivation.ts';
import type { StreamServices, User } from './stream.ts';

/** The longest datagram that is sent: what IPv4 can carry, 65535 - 20 - 8. */
export const MAX_DATAGRAM_BYTES = 65_535 - 20 - 8;

/**
 * A session has to be remembered this long after its last packet (SIP022 section 3.2.4 says 60 s at least), or that packet
 * could be replayed: a timestamp may be 30 s ahead of the clock and is good until 30 s after it, and clocks are read in
 * whole seconds.
 */
export const SESSION_MEMORY_MS = 61_000;

/** Plaintext to datagrams, one direction of one session. */
export interface DatagramSealer {
  /** The most bytes that sealing a payload of `length` bytes writes; never more than {@link MAX_DATAGRAM_BYTES}. */
  sealedLength(length: number): number;

  /**
   * Seals `input[inputAt, +length)`, which may be empty, as one datagram at `out[outAt..]`.
   *
   * @param target to the server: where it shall go; to the client: where it came from.
   * @returns the bytes written.
   * @throws PodsocksError ERR_LIMIT when no datagram can be as long, ERR_ADDRESS when the target cannot be written; the
   *   session can go on.
   */
  seal(out: Uint8Array, outAt: number, target: Target, input: Uint8Array, inputAt: number, length: number): number;

  /** Forgets the session's keys. No operation may follow. */
  close(): void;
}

/**
 * A datagram that is authentic, timely and whole. Nothing is remembered of it before `commit`: not that it was seen, nor
 * its session.
 */
export interface OpenedDatagram {
  /** At the server: where it shall go; at the client: where it came from. */
  readonly target: Target;
  /** The payload is `out[payloadAt, +payloadLength)`. */
  readonly payloadAt: number;
  readonly payloadLength: number;
  /** The sender's session and the packet's number in it; SIP004 has neither. */
  readonly sessionId: bigint | undefined;
  readonly packetId: PacketId | undefined;
}

/** What came from the server. */
export interface OpenedReply extends OpenedDatagram {
  /**
   * Remembers it. To be called before it is given to anyone.
   *
   * @throws PodsocksError ERR_REPLAY: it was committed before, and nothing has changed.
   */
  commit(): void;
}

/** What came from a client. */
export interface OpenedRequest extends OpenedDatagram {
  readonly user: User;
  /** Undefined when committing it would begin a session: the caller may have enough of them. */
  readonly session: RelaySession | undefined;

  /**
   * Remembers it. To be called before anything is sent, and before its sender becomes the session's address.
   *
   * @returns its session, always the same object until it is closed.
   * @throws PodsocksError ERR_REPLAY: it was committed before; ERR_LIMIT: too many sessions of this user are remembered to
   *   begin another. Nothing has changed then.
   */
  commit(): RelaySession;
}

/**
 * The server's end of a client's session, and the sealer of what goes back. Under SIP022 it follows the client from address
 * to address; SIP004 knows a client by its address only.
 *
 * It may be closed at any time. What SIP022 wants remembered of it is, for {@link SESSION_MEMORY_MS} after its last packet,
 * and when the client goes on with it, `commit` returns another for the same.
 */
export interface RelaySession extends DatagramSealer {
  readonly user: User;
}

/** Where a datagram came from, as node:dgram tells it. */
export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/** One generation of the protocol, as a server speaks it on one port. */
export interface ServerDatagrams {
  /**
   * Opens the datagram `input[inputAt, +length)`. `out` needs room for `length` bytes from `outAt`, and must not overlap.
   *
   * @throws PodsocksError ERR_TRUNCATED, ERR_AUTHENTICATION, ERR_HEADER, ERR_TIMESTAMP, ERR_ADDRESS or ERR_REPLAY: nothing
   *   has changed, and what is in `out` must not be used.
   */
  open(
    out: Uint8Array,
    outAt: number,
    input: Uint8Array,
    inputAt: number,
    length: number,
    from: Endpoint,
  ): OpenedRequest;
}

/**
 * The client's end of one session. Each needs a socket of its own: what comes back does not say for which it is before it
 * is opened.
 */
export interface ClientSession extends DatagramSealer {
  /** As {@link ServerDatagrams.open}. */
  open(out: Uint8Array, outAt: number, input: Uint8Array, inputAt: number, length: number): OpenedReply;
}

/** One generation of the protocol, as a client speaks it. */
export interface ClientDatagrams {
  /** Begins a session; SIP022 wants one for each address that a program sends from (section 3.2). */
  session(keys: ClientKeys): ClientSession;
}

/**
 * What padding goes into a packet with `length` bytes of payload: at most 900 bytes, whatever they are. SIP004 has none.
 */
export type Padding = (target: Target, length: number) => Uint8Array;

/** What datagrams need from outside. `replays` has to be theirs alone: there are many more of them than connections. */
export interface DatagramServices extends StreamServices {
  readonly padding: Padding;
  /** A clock that never steps back, in milliseconds. */
  monotonicMs(): number;
}

/** For {@link DatagramSealer.seal}. */
export function datagramTooLong(length: number): PodsocksError {
  return new PodsocksError('ERR_LIMIT', `${length} bytes do not fit into one datagram together with their headers`);
}
