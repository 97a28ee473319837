import { PodsocksError } from '../runtime/errors.ts';
import { Atyp, decodeAddress, type Target } from './address.ts';

/*
 * The server's side of SOCKS4 ("SOCKS: A protocol for TCP proxy across firewalls", Ying-Da Lee) and SOCKS4a ("SOCKS 4A:
 * A Simple Extension to SOCKS 4 Protocol"): one request, one reply, no password.
 */

/** VN of a request: its first byte. */
export const SOCKS4_VERSION = 0x04;

/** CD of a request. */
export const Command = { connect: 1, bind: 2 } as const;

/** CD of a reply. 92 and 93 are about identd, which nobody asks any more. */
export const Reply = { granted: 90, rejected: 91 } as const;

/** The protocol sets no bound for its strings. This is that of SOCKS5 (RFC 1929 UNAME, RFC 1928 DOMAINNAME). */
const STRING_MAX_BYTES = 255;

/** VN, CD, DSTPORT, DSTIP. */
const FIXED_BYTES = 1 + 1 + 2 + 4;

/** The longest request: the fixed part, USERID and its NUL, the name and its NUL. */
export const REQUEST_MAX_BYTES = FIXED_BYTES + (STRING_MAX_BYTES + 1) + (STRING_MAX_BYTES + 1);

/*
 * Request:
 *
 *   +---------+----+-------------+-------+--------------+-----+-----------------------+
 *   | VN 0x04 | CD | DSTPORT u16 | DSTIP | USERID       | NUL | SOCKS4a only: name NUL |
 *   +---------+----+-------------+-------+--------------+-----+-----------------------+
 *     1         1    2             4       0..255 bytes   1     1..255 bytes, 1
 *
 * SOCKS4a: a DSTIP of 0.0.0.x with x other than 0, which is no host's address, says that a name follows.
 */

/**
 * Reads a request from `input[at..end)`. USERID is skipped: it is a claim that nobody can check.
 *
 * @returns CD as it came (it may be none of {@link Command}), the target and the bytes that the request took; or
 *   undefined while more bytes are needed.
 * @throws PodsocksError ERR_SOCKS for another version, or a USERID or name of more than 255 bytes; ERR_ADDRESS for a
 *   name that cannot be one.
 */
export function decodeRequest(
  input: Uint8Array,
  at: number,
  end: number,
): { command: number; target: Target; length: number } | undefined {
  if (at >= end) return undefined;
  if (input[at] !== SOCKS4_VERSION) {
    throw new PodsocksError('ERR_SOCKS', `the SOCKS4 request has version ${input[at]} where 4 belongs`);
  }
  if (end - at < FIXED_BYTES) return undefined;
  const command = input[at + 1]!;
  const port = input.subarray(at + 1 + 1, at + 1 + 1 + 2);
  const ip = input.subarray(at + 1 + 1 + 2, at + FIXED_BYTES);

  const userId = decodeString(input, at + FIXED_BYTES, end, 'user id');
  if (!userId) return undefined;
  const length = FIXED_BYTES + userId.length + 1;
  const isMarker = ip[0] === 0 && ip[1] === 0 && ip[2] === 0 && ip[3] !== 0;
  if (!isMarker) return { command, target: targetFromAddress([Atyp.ipv4, ...ip, ...port]), length };

  const name = decodeString(input, at + length, end, 'name');
  if (!name) return undefined;
  const target = targetFromAddress([Atyp.name, name.length, ...name, ...port]);
  return { command, target, length: length + name.length + 1 };
}

/*
 * Reply:
 *
 *   +---------+----+-------------+-------+
 *   | VN 0x00 | CD | DSTPORT u16 | DSTIP |
 *   +---------+----+-------------+-------+
 *     1         1    2             4
 *
 * VN is the version of the reply, 0. The client ignores DSTPORT and DSTIP after CONNECT, so they stay zero.
 */

/** The server's answer to a request. After `rejected` it must close. */
export function encodeReply(reply: (typeof Reply)[keyof typeof Reply]): Uint8Array {
  const out = new Uint8Array(FIXED_BYTES);
  out[1] = reply;
  return out;
}

/** The bytes at `input[at..]` up to NUL, without it; undefined while NUL is still to come. */
function decodeString(input: Uint8Array, at: number, end: number, what: string): Uint8Array | undefined {
  const window = input.subarray(at, Math.min(end, at + STRING_MAX_BYTES + 1));
  const length = window.indexOf(0);
  if (length >= 0) return window.subarray(0, length);
  if (window.length <= STRING_MAX_BYTES) return undefined;
  throw new PodsocksError('ERR_SOCKS', `the ${what} in the SOCKS4 request is longer than ${STRING_MAX_BYTES} bytes`);
}

/** By way of ADDR, so that a name is judged by the same rules as in SOCKS5. */
function targetFromAddress(address: number[]): Target {
  return decodeAddress(Uint8Array.from(address), 0, address.length)!.target;
}
