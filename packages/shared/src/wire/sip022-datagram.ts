import { PodsocksError } from '../runtime/errors.ts';
import { ADDRESS_MAX_BYTES, decodeAddress, encodeAddress, type Target } from './address.ts';
import {
  decodeRequestFixed,
  decodeResponse,
  encodeRequestFixed,
  encodeResponse,
  MAX_PADDING_BYTES,
  REQUEST_FIXED_BYTES,
  responseFixedBytes,
} from './sip022-header.ts';

/** The plaintext headers of SIP022 in datagrams. */

/** The number of a packet in its session: a u64, exact in two halves of 32 bits. */
export interface PacketId {
  readonly high: number;
  readonly low: number;
}

/*
 * Separate header (SIP022 section 3.2.2). With ChaCha20 it stands before the main header instead (section 4.1):
 *
 *   +------------+---------------+
 *   | session id | packet id u64 |
 *   +------------+---------------+
 *     8 bytes, the sender's own
 */
export const SESSION_ID_BYTES = 8;
export const SEPARATE_HEADER_BYTES = SESSION_ID_BYTES + 8;

/** Writes the separate header at `out[at, +16)`. */
export function encodeSeparateHeader(out: Uint8Array, at: number, sessionId: bigint, packetId: PacketId): void {
  const view = new DataView(out.buffer, out.byteOffset + at, SEPARATE_HEADER_BYTES);
  view.setBigUint64(0, sessionId);
  view.setUint32(SESSION_ID_BYTES, packetId.high);
  view.setUint32(SESSION_ID_BYTES + 4, packetId.low);
}

/** Reads the separate header from `input[at, +16)`. Any bytes are one. */
export function decodeSeparateHeader(input: Uint8Array, at: number): { sessionId: bigint; packetId: PacketId } {
  const view = new DataView(input.buffer, input.byteOffset + at, SEPARATE_HEADER_BYTES);
  return {
    sessionId: view.getBigUint64(0),
    packetId: { high: view.getUint32(SESSION_ID_BYTES), low: view.getUint32(SESSION_ID_BYTES + 4) },
  };
}

/*
 * Client to server (SIP022 section 3.2.3). Up to the padding it has the form of a request's fixed part on TCP; the address
 * comes after the padding (over TCP before it):
 *
 *   +------+------------------+--------------------+---------+------+---------+
 *   | type | unix seconds u64 | padding length u16 | padding | ADDR | payload |
 *   +------+------------------+--------------------+---------+------+---------+
 *     0x00
 */
const CLIENT_FIXED_BYTES = REQUEST_FIXED_BYTES;

/*
 * Server to client; it has the form of a response's fixed part on TCP, with the session id for the salt:
 *
 *   +------+------------------+-------------------+--------------------+---------+------+---------+
 *   | type | unix seconds u64 | client session id | padding length u16 | padding | ADDR | payload |
 *   +------+------------------+-------------------+--------------------+---------+------+---------+
 *     0x01                      8 bytes                                            where the payload came from
 */
const SERVER_FIXED_BYTES = responseFixedBytes(SESSION_ID_BYTES);

/** The shortest main header there is, up to its padding length. */
export const MAIN_HEADER_MIN_BYTES = Math.min(CLIENT_FIXED_BYTES, SERVER_FIXED_BYTES);

/** The longest main header that is written: 1 + 8 + 8 + 2, padding, ADDR. */
export const MAIN_HEADER_MAX_BYTES = SERVER_FIXED_BYTES + MAX_PADDING_BYTES + ADDRESS_MAX_BYTES;

/** What a main header says; the payload is `input[payloadAt, end)`, and may be empty. */
export interface MainHeader {
  readonly target: Target;
  readonly payloadAt: number;
}

/** A client session id in bytes, used within one call only. */
const sessionIdScratch = new Uint8Array(SESSION_ID_BYTES);
const sessionIdView = new DataView(sessionIdScratch.buffer);

/**
 * Writes the main header of a packet to the server at `out[at..]`.
 *
 * @returns the bytes written, at most {@link MAIN_HEADER_MAX_BYTES} with at most 900 bytes of padding.
 * @throws PodsocksError ERR_ADDRESS.
 */
export function encodeClientHeader(
  out: Uint8Array,
  at: number,
  unixTime: number,
  padding: Uint8Array,
  target: Target,
): number {
  encodeRequestFixed(out.subarray(at), unixTime, padding.length);
  return CLIENT_FIXED_BYTES + encodePaddingAndAddress(out, at + CLIENT_FIXED_BYTES, padding, target);
}

/**
 * Reads the main header of a packet to the server from `input[at, end)`.
 *
 * @throws PodsocksError ERR_HEADER, ERR_TIMESTAMP or ERR_ADDRESS.
 */
export function decodeClientHeader(input: Uint8Array, at: number, end: number, unixTime: number): MainHeader {
  checkLength(at + CLIENT_FIXED_BYTES, end);
  const paddingLength = decodeRequestFixed(input.subarray(at, end), unixTime);
  return decodeAfterPadding(input, at + CLIENT_FIXED_BYTES + paddingLength, end);
}

/**
 * Writes the main header of a packet to the client at `out[at..]`.
 *
 * @returns the bytes written, at most {@link MAIN_HEADER_MAX_BYTES} with at most 900 bytes of padding.
 * @throws PodsocksError ERR_ADDRESS.
 */
export function encodeServerHeader(
  out: Uint8Array,
  at: number,
  unixTime: number,
  clientSessionId: bigint,
  padding: Uint8Array,
  target: Target,
): number {
  sessionIdView.setBigUint64(0, clientSessionId);
  encodeResponse(out.subarray(at), unixTime, sessionIdScratch, padding.length);
  return SERVER_FIXED_BYTES + encodePaddingAndAddress(out, at + SERVER_FIXED_BYTES, padding, target);
}

/**
 * Reads the main header of a packet to the client from `input[at, end)`.
 *
 * @throws PodsocksError ERR_HEADER, ERR_TIMESTAMP or ERR_ADDRESS.
 */
export function decodeServerHeader(
  input: Uint8Array,
  at: number,
  end: number,
  unixTime: number,
): MainHeader & { readonly clientSessionId: bigint } {
  checkLength(at + SERVER_FIXED_BYTES, end);
  const fixed = decodeResponse(input.subarray(at, end), SESSION_ID_BYTES, unixTime);
  sessionIdScratch.set(fixed.requestSalt);
  const clientSessionId = sessionIdView.getBigUint64(0);
  const { target, payloadAt } = decodeAfterPadding(input, at + SERVER_FIXED_BYTES + fixed.firstPayloadLength, end);
  return { clientSessionId, target, payloadAt };
}

function encodePaddingAndAddress(out: Uint8Array, at: number, padding: Uint8Array, target: Target): number {
  out.set(padding, at);
  return padding.length + encodeAddress(out, at + padding.length, target);
}

function decodeAfterPadding(input: Uint8Array, at: number, end: number): MainHeader {
  if (at > end) throw new PodsocksError('ERR_HEADER', 'the packet ends inside its padding');
  const address = decodeAddress(input, at, end);
  if (address === undefined) throw new PodsocksError('ERR_HEADER', 'the packet ends inside its address');
  return { target: address.target, payloadAt: at + address.length };
}

function checkLength(fixedEnd: number, end: number): void {
  if (fixedEnd > end) throw new PodsocksError('ERR_HEADER', 'the packet ends inside its header');
}
