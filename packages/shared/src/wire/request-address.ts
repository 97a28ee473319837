import { type AddressTypes, Atyp, decodeAddress, encodeAddress, type Target } from './address.ts';

/*
 * The address of a TCP request, SIP004 and SIP022 alike. It is ADDR, or, of a client that knows that the server is
 * podsocks, ADDR with the high bit of ATYP set: the client wants to be told what became of its request
 * (connect-status.ts).
 *
 *   +------+----------------------------+----------+
 *   | ATYP | host                       | port u16 |
 *   +------+----------------------------+----------+
 *     0x01, 0x81   4 bytes
 *     0x03, 0x83   length u8 | 1..255 bytes
 *     0x04, 0x84   16 bytes
 *
 * The bit is for this place alone: addresses in datagrams, of UDP over TCP, and of SOCKS have none.
 */
const STATUS_BIT = 0x80;

const FLAGGED: AddressTypes = {
  ipv4: Atyp.ipv4 | STATUS_BIT,
  name: Atyp.name | STATUS_BIT,
  ipv6: Atyp.ipv6 | STATUS_BIT,
};

/** Where a request wants to go, and whether its client wants a connect status. */
export interface RequestAddress {
  readonly target: Target;
  readonly wantsStatus: boolean;
}

/**
 * Reads the address of a request from `input[at..end)`.
 *
 * @returns the address and the bytes that it took, or undefined while more bytes are needed.
 * @throws PodsocksError ERR_ADDRESS as decodeAddress does.
 */
export function decodeRequestAddress(
  input: Uint8Array,
  at: number,
  end: number,
): (RequestAddress & { readonly length: number }) | undefined {
  const wantsStatus = at < end && (input[at]! & STATUS_BIT) !== 0;
  const decoded = decodeAddress(input, at, end, wantsStatus ? FLAGGED : Atyp);
  return decoded && { target: decoded.target, wantsStatus, length: decoded.length };
}

/**
 * Writes the address of a request at `out[at..]`.
 *
 * @returns the bytes written, at most ADDRESS_MAX_BYTES.
 * @throws PodsocksError ERR_ADDRESS as encodeAddress does.
 */
export function encodeRequestAddress(out: Uint8Array, at: number, { target, wantsStatus }: RequestAddress): number {
  return encodeAddress(out, at, target, wantsStatus ? FLAGGED : Atyp);
}
