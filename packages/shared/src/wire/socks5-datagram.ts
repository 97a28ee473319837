import { PodsocksError } from '../runtime/errors.ts';
import { ADDRESS_MAX_BYTES, decodeAddress, encodeAddress, type Target } from './address.ts';

/*
 * Datagram between a SOCKS5 client and its server (RFC 1928 section 7), the same both ways:
 *
 *   +------------+---------+------------+------+
 *   | RSV 0x0000 | FRAG u8 | ADDR       | DATA |
 *   +------------+---------+------------+------+
 *     2            1         7..259       may be empty
 *
 * ADDR is where DATA shall go, or where it came from. FRAG is 0 for a datagram of its own, else its place in a sequence of
 * fragments.
 */
const FRAGMENT_AT = 2;
const ADDRESS_AT = 2 + 1;

/** The longest header: RSV, FRAG, ADDR. */
export const DATAGRAM_HEADER_MAX_BYTES = 2 + 1 + ADDRESS_MAX_BYTES;

/**
 * Reads the datagram `input[0, length)`. RSV is not looked at: a client that fills it is better served than refused.
 *
 * @returns FRAG as it came (whoever does not put fragments together must drop all but 0), the target, and where in `input`
 *   the data begins; it goes up to `length`.
 * @throws PodsocksError ERR_TRUNCATED when the datagram ends inside its header, ERR_ADDRESS as decodeAddress does.
 */
export function decodeDatagram(
  input: Uint8Array,
  length: number,
): { fragment: number; target: Target; payloadAt: number } {
  const address = decodeAddress(input, ADDRESS_AT, length);
  if (address === undefined) {
    throw new PodsocksError('ERR_TRUNCATED', `the SOCKS5 datagram of ${length} bytes ends inside its header`);
  }
  return { fragment: input[FRAGMENT_AT]!, target: address.target, payloadAt: ADDRESS_AT + address.length };
}

/**
 * Writes the header of a datagram that is no fragment at `out[at..]`; the data belongs right behind it.
 *
 * @returns the bytes written, at most {@link DATAGRAM_HEADER_MAX_BYTES}.
 * @throws PodsocksError ERR_ADDRESS when the host does not fit its type; RangeError when `out` is too small.
 */
export function encodeDatagramHeader(out: Uint8Array, at: number, target: Target): number {
  out.fill(0, at, at + ADDRESS_AT);
  return ADDRESS_AT + encodeAddress(out, at + ADDRESS_AT, target);
}
