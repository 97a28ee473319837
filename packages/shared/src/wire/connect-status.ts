import { PodsocksError } from '../runtime/errors.ts';
import { Atyp, decodeAddress, encodeAddress, type Target } from './address.ts';
import { Reply, UNBOUND } from './socks5.ts';

/** A word of RFC 1928 section 6. */
export type ConnectReply = keyof typeof Reply;

/** What became of a request whose client asked for it (request-address.ts). */
export interface ConnectStatus {
  readonly reply: ConnectReply;
  /** Of a success: the address that was dialled, or {@link UNBOUND} where nothing was. */
  readonly bound: Target;
}

/*
 * Connect status: the first bytes of the plaintext of an answer, ahead of those of the target.
 *
 *   +-----+------+---------+----------+
 *   | REP | ATYP | address | port u16 |
 *   +-----+------+---------+----------+
 *     0..8  0x01   4 bytes
 *           0x04   16 bytes
 *
 * REP is that of RFC 1928 section 6. The address is never a name: it is what was dialled, and 0.0.0.0:0 where nothing was.
 */

/** The longest status. */
export const STATUS_MAX_BYTES = 1 + 1 + 16 + 2;

const REPLIES: ReadonlyMap<number, ConnectReply> = new Map(
  (Object.keys(Reply) as ConnectReply[]).map(reply => [Reply[reply], reply]),
);

/**
 * The bytes of a status.
 *
 * @throws PodsocksError ERR_ADDRESS when the host of `bound` does not fit its type.
 */
export function encodeStatus({ reply, bound }: ConnectStatus): Uint8Array {
  const out = new Uint8Array(STATUS_MAX_BYTES);
  out[0] = Reply[reply];
  return out.subarray(0, 1 + encodeAddress(out, 1, bound));
}

/**
 * Reads a status from `input[at..end)`.
 *
 * @returns the status and the bytes that it took, or undefined while more bytes are needed.
 * @throws PodsocksError ERR_HEADER for what cannot be one, with the first byte that tells.
 */
export function decodeStatus(
  input: Uint8Array,
  at: number,
  end: number,
): { readonly status: ConnectStatus; readonly length: number } | undefined {
  if (at >= end) return undefined;
  const reply = REPLIES.get(input[at]!);
  if (reply === undefined) throw noStatus(`its reply is 0x${input[at]!.toString(16).padStart(2, '0')}`);
  if (at + 1 >= end) return undefined;
  const atyp = input[at + 1]!;
  if (atyp !== Atyp.ipv4 && atyp !== Atyp.ipv6) {
    throw noStatus(`its address type is 0x${atyp.toString(16).padStart(2, '0')}`);
  }
  const address = decodeAddress(input, at + 1, end);
  return address && { status: { reply, bound: address.target }, length: 1 + address.length };
}

function noStatus(what: string): PodsocksError {
  return new PodsocksError('ERR_HEADER', `the answer does not begin with a connect status: ${what}`);
}
