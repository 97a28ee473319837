import { PodsocksError } from '../runtime/errors.ts';
import { ADDRESS_MAX_BYTES, decodeAddress, encodeAddress, type Target } from './address.ts';

/*
 * The server's side of SOCKS5 (RFC 1928) with username/password authentication (RFC 1929). One conversation:
 *
 *   client  greeting          [username/password]  request
 *   server  method selection  [status]             reply
 */

/** VER of RFC 1928: the first byte of every message but those of RFC 1929. */
export const SOCKS5_VERSION = 0x05;

/** VER of RFC 1929: the version of the subnegotiation, not of SOCKS. */
const PASSWORD_VERSION = 0x01;

/** METHOD of RFC 1928 section 3. */
export const AuthMethod = { none: 0x00, password: 0x02, noneAcceptable: 0xff } as const;

/** CMD of RFC 1928 section 4. */
export const Command = { connect: 0x01, bind: 0x02, udpAssociate: 0x03 } as const;

/** REP of RFC 1928 section 6. */
export const Reply = {
  succeeded: 0x00,
  generalFailure: 0x01,
  notAllowed: 0x02,
  networkUnreachable: 0x03,
  hostUnreachable: 0x04,
  connectionRefused: 0x05,
  ttlExpired: 0x06,
  commandNotSupported: 0x07,
  addressTypeNotSupported: 0x08,
} as const;

/** The longest greeting: VER, NMETHODS, METHODS. */
export const GREETING_MAX_BYTES = 1 + 1 + 255;

/** The longest username/password request: VER, ULEN, UNAME, PLEN, PASSWD. */
export const PASSWORD_REQUEST_MAX_BYTES = 1 + 1 + 255 + 1 + 255;

/** The longest request: VER, CMD, RSV, ADDR. */
export const REQUEST_MAX_BYTES = 1 + 1 + 1 + ADDRESS_MAX_BYTES;

/*
 * Greeting (RFC 1928 section 3):
 *
 *   +----------+-------------+----------------+
 *   | VER 0x05 | NMETHODS u8 | METHODS        |
 *   +----------+-------------+----------------+
 *     1          1             0..255 bytes
 */

/**
 * Reads a greeting from `input[at..end)`.
 *
 * @returns the methods that the client offers, as a view of `input`, and the bytes that the greeting took; or undefined
 *   while more bytes are needed.
 * @throws PodsocksError ERR_SOCKS for another version.
 */
export function decodeGreeting(
  input: Uint8Array,
  at: number,
  end: number,
): { methods: Uint8Array; length: number } | undefined {
  if (at >= end) return undefined;
  expectVersion(input[at]!, SOCKS5_VERSION, 'SOCKS5 greeting');
  if (end - at < 1 + 1) return undefined;
  const length = 1 + 1 + input[at + 1]!;
  if (end - at < length) return undefined;
  return { methods: input.subarray(at + 1 + 1, at + length), length };
}

/*
 * Method selection (RFC 1928 section 3):
 *
 *   +----------+--------+
 *   | VER 0x05 | METHOD |
 *   +----------+--------+
 *     1          1
 */

/** The server's answer to a greeting. After `noneAcceptable` the client must close. */
export function encodeMethodSelection(method: (typeof AuthMethod)[keyof typeof AuthMethod]): Uint8Array {
  return Uint8Array.of(SOCKS5_VERSION, method);
}

/*
 * Username/password request (RFC 1929 section 2):
 *
 *   +----------+---------+--------------+---------+--------------+
 *   | VER 0x01 | ULEN u8 | UNAME        | PLEN u8 | PASSWD       |
 *   +----------+---------+--------------+---------+--------------+
 *     1          1         0..255 bytes   1         0..255 bytes
 *
 * RFC 1929 wants at least one byte of each. Clients with an empty password send none, so the comparison judges that.
 */

/**
 * Reads a username/password request from `input[at..end)`.
 *
 * @returns both as the bytes that came, views of `input`: decoding them as text could make two names equal. And the
 *   bytes that the message took; or undefined while more bytes are needed.
 * @throws PodsocksError ERR_SOCKS for another version.
 */
export function decodePasswordRequest(
  input: Uint8Array,
  at: number,
  end: number,
): { username: Uint8Array; password: Uint8Array; length: number } | undefined {
  if (at >= end) return undefined;
  expectVersion(input[at]!, PASSWORD_VERSION, 'username/password request');
  if (end - at < 1 + 1) return undefined;
  const usernameEnd = at + 1 + 1 + input[at + 1]!;
  if (end < usernameEnd + 1) return undefined;
  const passwordEnd = usernameEnd + 1 + input[usernameEnd]!;
  if (end < passwordEnd) return undefined;
  return {
    username: input.subarray(at + 1 + 1, usernameEnd),
    password: input.subarray(usernameEnd + 1, passwordEnd),
    length: passwordEnd - at,
  };
}

/*
 * Username/password status (RFC 1929 section 2):
 *
 *   +----------+--------+
 *   | VER 0x01 | STATUS |  0 is success, anything else failure
 *   +----------+--------+
 *     1          1
 */

/** The server's answer to a username/password request. After a failure it must close. */
export function encodePasswordStatus(accepted: boolean): Uint8Array {
  return Uint8Array.of(PASSWORD_VERSION, accepted ? 0x00 : 0x01);
}

/*
 * Request (RFC 1928 section 4):
 *
 *   +----------+-----+----------+------+
 *   | VER 0x05 | CMD | RSV 0x00 | ADDR |
 *   +----------+-----+----------+------+
 *     1          1     1          7..259 bytes
 */

/**
 * Reads a request from `input[at..end)`. RSV is not looked at: a client that fills it is better served than refused.
 *
 * @returns CMD as it came (it may be none of {@link Command}), the target and the bytes that the request took; or
 *   undefined while more bytes are needed.
 * @throws PodsocksError ERR_SOCKS for another version, ERR_ADDRESS as decodeAddress does.
 */
export function decodeRequest(
  input: Uint8Array,
  at: number,
  end: number,
): { command: number; target: Target; length: number } | undefined {
  if (at >= end) return undefined;
  expectVersion(input[at]!, SOCKS5_VERSION, 'SOCKS5 request');
  const address = decodeAddress(input, at + 1 + 1 + 1, end);
  if (!address) return undefined;
  return { command: input[at + 1]!, target: address.target, length: 1 + 1 + 1 + address.length };
}

/*
 * Reply (RFC 1928 section 6):
 *
 *   +----------+-----+----------+------------------------+
 *   | VER 0x05 | REP | RSV 0x00 | ADDR (the bound one)   |
 *   +----------+-----+----------+------------------------+
 *     1          1     1          7..259 bytes
 */

/** What a reply says when no address is known, or none is the client's business. */
export const UNBOUND: Target = { type: 'ipv4', host: '0.0.0.0', port: 0 };

/**
 * The server's answer to a request. After anything but `succeeded` it must close.
 *
 * @throws PodsocksError ERR_ADDRESS when the host of `bound` does not fit its type.
 */
export function encodeReply(reply: (typeof Reply)[keyof typeof Reply], bound = UNBOUND): Uint8Array {
  const out = new Uint8Array(1 + 1 + 1 + ADDRESS_MAX_BYTES);
  out[0] = SOCKS5_VERSION;
  out[1] = reply;
  const addressLength = encodeAddress(out, 1 + 1 + 1, bound);
  return out.slice(0, 1 + 1 + 1 + addressLength);
}

function expectVersion(actual: number, expected: number, message: string): void {
  if (actual === expected) return;
  const hex = actual.toString(16).padStart(2, '0');
  throw new PodsocksError('ERR_SOCKS', `the ${message} has version 0x${hex} where 0x0${expected} belongs`);
}
