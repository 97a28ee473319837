import { isIPv4, isIPv6 } from 'node:net';
import type { Origin } from '@podsocks/shared/net/datagram-socket';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { Atyp, decodeAddress, targetOf } from '@podsocks/shared/wire/address';
import { ipv4OfMapped } from '@podsocks/shared/wire/mapped-address';
import { crc32c } from './crc32c.ts';

/*
 * The PROXY protocol of HAProxy (https://www.haproxy.org/download/2.9/doc/proxy-protocol.txt): what a load balancer puts in
 * front of a connection's bytes to say whose it is.
 */

/** What a header says. */
export interface ProxyHeader {
  /** Whose connection it is; undefined where the balancer does not say, or opened it itself (a health check). */
  readonly client: Origin | undefined;
  /** Bytes that the header takes. */
  readonly length: number;
}

/**
 * The longest header that is taken. The protocol would let v2 have 64 KiB; addresses and all extensions that are in use take
 * less than 1 KiB.
 */
export const HEADER_MAX_BYTES = 4096;

/** The longest header of v1, with its end. */
const V1_MAX_BYTES = 107;

const V1_SIGNATURE = bytesOf('PROXY ');
const V2_SIGNATURE = bytesOf('\r\n\r\n\0\r\nQUIT\n');

/**
 * Reads a header, v1 or v2, from the beginning of `input[at..end)`.
 *
 * @returns undefined while more bytes are needed.
 * @throws PodsocksError ERR_HEADER as soon as it can be none.
 */
export function decodeProxyHeader(input: Uint8Array, at: number, end: number): ProxyHeader | undefined {
  if (at >= end) return undefined;
  const isV2 = input[at] === V2_SIGNATURE[0];
  const signature = isV2 ? V2_SIGNATURE : V1_SIGNATURE;
  for (let i = 0; i < signature.length && at + i < end; i++) {
    if (input[at + i] !== signature[i]) throw wrong('is missing');
  }
  if (end - at < signature.length) return undefined;
  return isV2 ? decodeV2(input, at, end) : decodeV1(input, at, end);
}

/*
 * v1, text:
 *
 *   PROXY TCP4 192.0.2.7 198.51.100.1 56324 8388\r\n
 *   PROXY TCP6 2001:db8::7 2001:db8::1 56324 8388\r\n
 *   PROXY UNKNOWN …\r\n
 */

const CR = 0x0d;
const LF = 0x0a;

function decodeV1(input: Uint8Array, at: number, end: number): ProxyHeader | undefined {
  const limit = Math.min(end, at + V1_MAX_BYTES);
  let cr = at + V1_SIGNATURE.length;
  while (cr < limit && input[cr] !== CR) cr++;
  if (cr + 1 >= limit) {
    if (limit === at + V1_MAX_BYTES) throw wrong(`has no end within ${V1_MAX_BYTES} bytes`);
    return undefined;
  }
  if (input[cr + 1] !== LF) throw wrong('has a CR without LF');
  const length = cr + 2 - at;
  const text = String.fromCharCode(...input.subarray(at + V1_SIGNATURE.length, cr));
  const [family, ...rest] = text.split(' ');
  if (family === 'UNKNOWN') return { client: undefined, length };
  const isAddress = family === 'TCP4' ? isIPv4 : family === 'TCP6' ? isPlainIpv6 : undefined;
  if (isAddress === undefined) throw wrong('names no family that there is');
  const [source = '', destination = '', sourcePort = '', destinationPort = ''] = rest;
  if (rest.length !== 4 || !isAddress(source) || !isAddress(destination)) throw wrong('has no two addresses');
  if (!isPort(sourcePort) || !isPort(destinationPort)) throw wrong('has no two ports');
  return { client: origin(targetOf(source, Number(sourcePort))), length };
}

/** With a zone it would be an address of the balancer's own network. */
function isPlainIpv6(text: string): boolean {
  return isIPv6(text) && !text.includes('%');
}

function isPort(text: string): boolean {
  return /^(0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 0xffff;
}

/*
 * v2, binary:
 *
 *   +-----------+---------------+--------------------+------------+-----------+-------------+
 *   | signature | version 2 u4, | family u4,         | length u16 | addresses | TLVs        |
 *   | 12 bytes  | command u4    | transport u4       |            |           | the rest    |
 *   +-----------+---------------+--------------------+------------+-----------+-------------+
 *
 * Addresses: source, destination, source port u16, destination port u16. A TLV: type u8, length u16, value.
 */

const V2_FIXED_BYTES = 16;
const LOCAL = 0x0;
const PROXY = 0x1;
const TCP4 = 0x11;
const TCP6 = 0x21;
/** Bytes of both addresses by family: none, IPv4, IPv6, Unix. */
const ADDRESSES_BYTES = [0, 12, 36, 216] as const;
const MOST_TRANSPORT = 2;
const TYPE_CRC32C = 0x03;
const TLV_FIXED_BYTES = 3;

function decodeV2(input: Uint8Array, at: number, end: number): ProxyHeader | undefined {
  if (end - at < V2_FIXED_BYTES) return undefined;
  const [versionAndCommand, familyAndTransport] = [input[at + 12]!, input[at + 13]!];
  const command = versionAndCommand & 0xf;
  if (versionAndCommand >> 4 !== 2 || command > PROXY) throw wrong('has a version or command that there is not');
  const addressesBytes = ADDRESSES_BYTES[familyAndTransport >> 4];
  if (addressesBytes === undefined || (familyAndTransport & 0xf) > MOST_TRANSPORT) {
    throw wrong('names no family that there is');
  }
  const rest = readU16(input, at + 14);
  const length = V2_FIXED_BYTES + rest;
  if (length > HEADER_MAX_BYTES) throw wrong(`is longer than ${HEADER_MAX_BYTES} bytes`);
  // Of a health check the receiver has to skip whatever else there is.
  if (command !== LOCAL && rest < addressesBytes) throw wrong('is too short for its addresses');
  if (end - at < length) return undefined;
  if (command === LOCAL) return { client: undefined, length };
  checkTlvs(input, at, at + V2_FIXED_BYTES + addressesBytes, at + length);
  const isTcp = familyAndTransport === TCP4 || familyAndTransport === TCP6;
  return { client: isTcp ? sourceOf(input, at + V2_FIXED_BYTES, addressesBytes) : undefined, length };
}

function sourceOf(input: Uint8Array, at: number, addressesBytes: number): Origin {
  const hostBytes = (addressesBytes - 2 * 2) / 2;
  const address = new Uint8Array(1 + hostBytes + 2);
  address[0] = hostBytes === 4 ? Atyp.ipv4 : Atyp.ipv6;
  address.set(input.subarray(at, at + hostBytes), 1);
  address.set(input.subarray(at + 2 * hostBytes, at + 2 * hostBytes + 2), 1 + hostBytes);
  return origin(decodeAddress(address, 0, address.length)!.target);
}

/** That they fill `input[at, end)`, and that the checksum is right if there is one. */
function checkTlvs(input: Uint8Array, headerAt: number, at: number, end: number): void {
  for (let tlv = at; tlv < end; ) {
    const value = tlv + TLV_FIXED_BYTES;
    const next = value + (value <= end ? readU16(input, tlv + 1) : 0);
    if (value > end || next > end) throw wrong('has an extension that is cut');
    if (input[tlv] === TYPE_CRC32C) {
      if (next - value !== 4) throw wrong('has a checksum that is none');
      const header = new Uint8Array(input.subarray(headerAt, end)); // the slice() of a Buffer would be a view
      header.fill(0, value - headerAt, next - headerAt);
      const told = new DataView(input.buffer, input.byteOffset).getUint32(value);
      if (crc32c(header) !== told) throw wrong('has a wrong checksum');
    }
    tlv = next;
  }
}

function origin({ host, port }: { readonly host: string; readonly port: number }): Origin {
  return { address: ipv4OfMapped(host) ?? host, port };
}

function readU16(input: Uint8Array, at: number): number {
  return (input[at]! << 8) | input[at + 1]!;
}

function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(text, character => character.charCodeAt(0));
}

function wrong(complaint: string): PodsocksError {
  return new PodsocksError('ERR_HEADER', `the header of the PROXY protocol ${complaint}`);
}
