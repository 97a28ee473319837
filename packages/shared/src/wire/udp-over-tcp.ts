import { PodsocksError } from '../runtime/errors.ts';
import { ADDRESS_MAX_BYTES, Atyp, decodeAddress, encodeAddress, type Target } from './address.ts';

/*
 * UDP over TCP as SagerNet has it (github.com/SagerNet/sing, common/uot): a stream to a host that does not exist carries
 * packets in both directions. The names differ by version, the packets do not:
 *
 *   version 1   packets, each with its address
 *   version 2   request, packets; with or without addresses as the request says. The server answers with packets only.
 */

/** The host that means version 2. sing-box dials it with port 0. */
export const MAGIC_HOST = 'sp.v2.udp-over-tcp.arpa';

/** The host that means version 1, which begins without a request. */
export const LEGACY_MAGIC_HOST = 'sp.udp-over-tcp.arpa';

/*
 * Request of version 2:
 *
 *   +----------------+----------+
 *   | is connect u8  | ADDR     |
 *   +----------------+----------+
 *     0: each packet has an address of its own; ADDR only tells where the first may go
 *     1: no packet has one, all are for or from ADDR
 */
export interface Request {
  readonly isConnect: boolean;
  /** 0.0.0.0:0 when the client named none, which it may when `isConnect` is false. */
  readonly target: Target;
}

/** The longest request: is connect, ADDR. */
export const REQUEST_MAX_BYTES = 1 + ADDRESS_MAX_BYTES;

const UNSPECIFIED: Target = { type: 'ipv4', host: '0.0.0.0', port: 0 };

/** A request whose ADDR is a name of no bytes: is connect, ATYP, length. No port follows, as sing reads it since 2023. */
const EMPTY_REQUEST_BYTES = 1 + 1 + 1;

/**
 * Writes a request at `out[at..]`.
 *
 * @returns the bytes written, at most {@link REQUEST_MAX_BYTES}.
 * @throws PodsocksError ERR_ADDRESS when the host does not fit its type; RangeError when `out` is too small.
 */
export function encodeRequest(out: Uint8Array, at: number, { isConnect, target }: Request): number {
  out[at] = isConnect ? 1 : 0;
  return 1 + encodeAddress(out, at + 1, target);
}

/**
 * Reads a request from `input[at..end)`.
 *
 * @returns the request and the bytes that it took, or undefined while more bytes are needed.
 * @throws PodsocksError ERR_HEADER when the first byte is neither 0 nor 1, ERR_ADDRESS as decodeAddress does.
 */
export function decodeRequest(
  input: Uint8Array,
  at: number,
  end: number,
): (Request & { readonly length: number }) | undefined {
  if (at >= end) return undefined;
  const flag = input[at]!;
  if (flag > 1) throw new PodsocksError('ERR_HEADER', `the UDP over TCP request begins with ${flag}, not 0 or 1`);
  const isConnect = flag === 1;
  if (!isConnect && end - at >= EMPTY_REQUEST_BYTES && input[at + 1] === Atyp.name && input[at + 1 + 1] === 0) {
    return { isConnect, target: UNSPECIFIED, length: EMPTY_REQUEST_BYTES };
  }
  const address = decodeAddress(input, at + 1, end);
  return address && { isConnect, target: address.target, length: 1 + address.length };
}

/*
 * Packet:
 *
 *   +---------+------------+------+
 *   | ADDR'   | length u16 | data |
 *   +---------+------------+------+
 *     7..259    2            0..65535 bytes
 *
 * ADDR' is where the data shall go, or where they came from: ADDR but for its first byte. It is missing when the request
 * was to connect.
 */
const PACKET_ATYP = { ipv4: 0x00, ipv6: 0x01, name: 0x02 } as const;
const LENGTH_BYTES = 2;
const PAYLOAD_MAX_BYTES = 0xffff;

/** The longest that stands before a packet's data: ADDR', length. */
export const PACKET_HEADER_MAX_BYTES = ADDRESS_MAX_BYTES + LENGTH_BYTES;

const PACKET_MAX_BYTES = PACKET_HEADER_MAX_BYTES + PAYLOAD_MAX_BYTES;

/**
 * Writes what stands before `payloadLength` bytes of data at `out[at..]`.
 *
 * @param target undefined when the request was to connect.
 * @returns the bytes written, at most {@link PACKET_HEADER_MAX_BYTES}.
 * @throws PodsocksError ERR_ADDRESS when the host does not fit its type, ERR_LIMIT when the payload is too long; RangeError
 *   when `out` is too small.
 */
export function encodePacketHeader(
  out: Uint8Array,
  at: number,
  target: Target | undefined,
  payloadLength: number,
): number {
  if (payloadLength > PAYLOAD_MAX_BYTES) {
    throw new PodsocksError('ERR_LIMIT', `a packet holds ${PAYLOAD_MAX_BYTES} bytes, not ${payloadLength}`);
  }
  const addressLength = target === undefined ? 0 : encodeAddress(out, at, target, PACKET_ATYP);
  const lengthAt = at + addressLength;
  if (lengthAt + LENGTH_BYTES > out.length) throw new RangeError('the packet header does not fit the output buffer');
  out[lengthAt] = payloadLength >>> 8;
  out[lengthAt + 1] = payloadLength & 0xff;
  return addressLength + LENGTH_BYTES;
}

/** Where a packet lies: its data are `[payloadAt, end)`. */
interface PacketPlace {
  readonly target: Target;
  readonly payloadAt: number;
  readonly end: number;
}

/** Takes the data of a packet, `data[at, +length)`: valid until it returns. It must not throw, or packets are lost. */
export type TakePacket = (target: Target, data: Uint8Array, at: number, length: number) => void;

const EMPTY = new Uint8Array(0);

/**
 * Finds the packets in a stream that arrives in any split.
 *
 * A packet that lies whole in the input is given where it lies. Only one that is cut by the end of the input is copied, to
 * a buffer that grows as its bytes come: a peer that stalls holds at most twice what it sent, between packets nothing.
 */
export class PacketReader {
  readonly #connected: Target | undefined;
  #carry = EMPTY;
  #carried = 0;

  /** @param connected the target of all packets when the request was to connect; undefined when each has its own. */
  constructor(connected: Target | undefined) {
    this.#connected = connected;
  }

  /** The memory in bytes that a cut packet holds until its rest comes. A stream that ends when this is not 0 is truncated. */
  get heldBytes(): number {
    return this.#carry.length;
  }

  /**
   * Gives every packet that is completed by `input[at, +length)` to `take`, in turn.
   *
   * @throws PodsocksError ERR_ADDRESS as decodeAddress does. The reader is of no use then: where the next packet begins is
   *   known only behind some bad addresses, and no client writes those.
   */
  read(input: Uint8Array, at: number, length: number, take: TakePacket): void {
    const end = at + length;
    let cursor = this.#carried > 0 ? this.#complete(input, at, end, take) : at;
    while (cursor < end) {
      const packet = this.#find(input, cursor, end);
      if (packet === undefined || packet.end > end) {
        this.#append(input, cursor, end);
        return;
      }
      take(packet.target, input, packet.payloadAt, packet.end - packet.payloadAt);
      cursor = packet.end;
    }
  }

  /** Goes on with the packet that is carried. Returns where in `input` the next one begins, or `end`. */
  #complete(input: Uint8Array, at: number, end: number, take: TakePacket): number {
    let cursor = at;
    let packet = this.#find(this.#carry, 0, this.#carried);
    if (packet === undefined) {
      const before = this.#carried;
      this.#append(input, at, Math.min(end, at + PACKET_HEADER_MAX_BYTES - before));
      packet = this.#find(this.#carry, 0, this.#carried);
      if (packet === undefined) return end;
      this.#carried = Math.min(this.#carried, packet.end); // the header may be short, and the next packet behind it
      cursor += this.#carried - before;
    }
    const rest = Math.min(end - cursor, packet.end - this.#carried);
    this.#append(input, cursor, cursor + rest);
    if (this.#carried === packet.end) {
      const whole = this.#carry;
      this.#carry = EMPTY;
      this.#carried = 0;
      take(packet.target, whole, packet.payloadAt, packet.end - packet.payloadAt);
    }
    return cursor + rest;
  }

  /** The packet at `input[at..)`, which may end beyond `end`; undefined while its header does. */
  #find(input: Uint8Array, at: number, end: number): PacketPlace | undefined {
    const address = this.#connected
      ? { target: this.#connected, length: 0 }
      : decodeAddress(input, at, end, PACKET_ATYP);
    if (address === undefined || at + address.length + LENGTH_BYTES > end) return undefined;
    const lengthAt = at + address.length;
    const payloadAt = lengthAt + LENGTH_BYTES;
    const payloadLength = (input[lengthAt]! << 8) | input[lengthAt + 1]!;
    return { target: address.target, payloadAt, end: payloadAt + payloadLength };
  }

  #append(input: Uint8Array, at: number, end: number): void {
    const length = this.#carried + end - at;
    if (length > this.#carry.length) {
      const longer = new Uint8Array(Math.max(length, Math.min(2 * this.#carried, PACKET_MAX_BYTES)));
      longer.set(this.#carry.subarray(0, this.#carried));
      this.#carry = longer;
    }
    this.#carry.set(input.subarray(at, end), this.#carried);
    this.#carried = length;
  }
}
