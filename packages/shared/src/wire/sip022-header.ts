import { PodsocksError } from '../runtime/errors.ts';
import { decodeRequestAddress, encodeRequestAddress, type RequestAddress } from './request-address.ts';

/** The plaintext headers of SIP022 on TCP. */

/** Timestamps further than this from the clock are refused (SIP022 section 3.1.3). */
export const MAX_CLOCK_DIFFERENCE_SECONDS = 30;

/** The most padding a request carries (SIP022 section 3.1.3). */
export const MAX_PADDING_BYTES = 900;

const HeaderType = { request: 0, response: 1 } as const;

/*
 * Request, fixed part:
 *
 *   +------+------------------+-----------------+
 *   | type | unix seconds u64 | length u16      |
 *   +------+------------------+-----------------+
 *     0x00                      of the variable part
 */
export const REQUEST_FIXED_BYTES = 1 + 8 + 2;

/** Writes the fixed part at `out[0..11)`. */
export function encodeRequestFixed(out: Uint8Array, unixTime: number, variableLength: number): void {
  out[0] = HeaderType.request;
  writeTime(out, 1, unixTime);
  writeU16(out, 1 + 8, variableLength);
}

/**
 * @returns the length of the variable part.
 * @throws PodsocksError ERR_HEADER for another type, ERR_TIMESTAMP for a clock too far away.
 */
export function decodeRequestFixed(input: Uint8Array, unixTime: number): number {
  checkTypeAndTime(input, HeaderType.request, unixTime);
  return readU16(input, 1 + 8);
}

/*
 * Request, variable part. Over TCP the address comes before the padding (over UDP after it):
 *
 *   +------+----------------+------------------+---------------+
 *   | ADDR | padding length | padding          | first payload |
 *   +------+----------------+------------------+---------------+
 *            u16              0..900 bytes       may be empty, but then padding may not
 */
const PADDING_LENGTH_BYTES = 2;

/** Writes what stands before the first payload; padding is whatever `out` held. Returns the bytes written. */
export function encodeRequestVariable(out: Uint8Array, address: RequestAddress, paddingLength: number): number {
  const addressLength = encodeRequestAddress(out, 0, address);
  writeU16(out, addressLength, paddingLength);
  return addressLength + PADDING_LENGTH_BYTES + paddingLength;
}

/**
 * Reads `input[0, length)`.
 *
 * @returns the address, and where in `input` the first payload begins.
 * @throws PodsocksError ERR_ADDRESS or ERR_HEADER.
 */
export function decodeRequestVariable(input: Uint8Array, length: number): RequestAddress & { payloadAt: number } {
  const address = decodeRequestAddress(input, 0, length);
  if (address === undefined || address.length + PADDING_LENGTH_BYTES > length) {
    throw new PodsocksError('ERR_HEADER', 'the request header ends inside its address');
  }
  const paddingLength = readU16(input, address.length);
  const payloadAt = address.length + PADDING_LENGTH_BYTES + paddingLength;
  if (payloadAt > length) throw new PodsocksError('ERR_HEADER', 'the request header ends inside its padding');
  if (paddingLength === 0 && payloadAt === length) {
    // SIP022 section 3.1.3: a first flight of telling length, as such a client sends, is not to be served.
    throw new PodsocksError('ERR_HEADER', 'the request has neither payload nor padding');
  }
  return { target: address.target, wantsStatus: address.wantsStatus, payloadAt };
}

/*
 * Response; it stands for the first length chunk:
 *
 *   +------+------------------+--------------+--------------------------+
 *   | type | unix seconds u64 | request salt | first payload length u16 |
 *   +------+------------------+--------------+--------------------------+
 *     0x01                      16 or 32
 */
export function responseFixedBytes(saltBytes: number): number {
  return 1 + 8 + saltBytes + 2;
}

/** Writes the response header at `out[0..)`. */
export function encodeResponse(
  out: Uint8Array,
  unixTime: number,
  requestSalt: Uint8Array,
  firstPayloadLength: number,
): void {
  out[0] = HeaderType.response;
  writeTime(out, 1, unixTime);
  out.set(requestSalt, 1 + 8);
  writeU16(out, 1 + 8 + requestSalt.length, firstPayloadLength);
}

/**
 * @returns the salt that the response repeats, a view into `input`, and the length of the first payload.
 * @throws PodsocksError ERR_HEADER for another type, ERR_TIMESTAMP for a clock too far away.
 */
export function decodeResponse(
  input: Uint8Array,
  saltBytes: number,
  unixTime: number,
): { requestSalt: Uint8Array; firstPayloadLength: number } {
  checkTypeAndTime(input, HeaderType.response, unixTime);
  const requestSalt = input.subarray(1 + 8, 1 + 8 + saltBytes);
  return { requestSalt, firstPayloadLength: readU16(input, 1 + 8 + saltBytes) };
}

function checkTypeAndTime(input: Uint8Array, type: number, unixTime: number): void {
  if (input[0] !== type) {
    throw new PodsocksError('ERR_HEADER', `the header has type ${input[0]}, ${type} was expected`);
  }
  const difference = readTime(input, 1) - unixTime;
  if (Math.abs(difference) > MAX_CLOCK_DIFFERENCE_SECONDS) {
    const direction = difference > 0 ? 'ahead of' : 'behind';
    throw new PodsocksError(
      'ERR_TIMESTAMP',
      `the peer's clock is ${Math.abs(difference)} s ${direction} ours; ` +
        `${MAX_CLOCK_DIFFERENCE_SECONDS} s are allowed: synchronise the clocks (NTP)`,
    );
  }
}

/** A u64. Beyond 2^53 it loses its last bits, but by then it is refused for its distance anyway. */
function readTime(input: Uint8Array, at: number): number {
  const high = input[at]! * 0x1000000 + ((input[at + 1]! << 16) | (input[at + 2]! << 8) | input[at + 3]!);
  const low = input[at + 4]! * 0x1000000 + ((input[at + 5]! << 16) | (input[at + 6]! << 8) | input[at + 7]!);
  return high * 0x1_0000_0000 + low;
}

function writeTime(out: Uint8Array, at: number, seconds: number): void {
  writeU32(out, at, Math.floor(seconds / 0x1_0000_0000));
  writeU32(out, at + 4, seconds % 0x1_0000_0000);
}

function readU16(input: Uint8Array, at: number): number {
  return (input[at]! << 8) | input[at + 1]!;
}

function writeU32(out: Uint8Array, at: number, value: number): void {
  writeU16(out, at, value >>> 16);
  writeU16(out, at + 2, value & 0xffff);
}

function writeU16(out: Uint8Array, at: number, value: number): void {
  out[at] = value >>> 8;
  out[at + 1] = value & 0xff;
}
