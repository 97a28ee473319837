import { crc32c } from './crc32c.ts';

export const V2_SIGNATURE = Buffer.from('0d0a0d0a000d0a515549540a', 'hex');

export interface V2Options {
  /** Default: PROXY. */
  readonly versionAndCommand?: number;
  /** Default: TCP over IPv4. */
  readonly family?: number;
  /** In hexadecimal; default: 192.0.2.7:56324 to 198.51.100.1:8388. */
  readonly addresses?: string;
  readonly tlvs?: Uint8Array;
}

/** A header of v2. */
export function v2(options: V2Options = {}): Buffer {
  const { versionAndCommand = 0x21, family = 0x11, addresses = 'c0000207c6336401dc0420c4' } = options;
  const rest = Buffer.concat([Buffer.from(addresses, 'hex'), options.tlvs ?? Buffer.alloc(0)]);
  const fixed = Buffer.from([versionAndCommand, family, rest.length >> 8, rest.length & 0xff]);
  return Buffer.concat([V2_SIGNATURE, fixed, rest]);
}

export function tlv(type: number, value: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from([type, value.length >> 8, value.length & 0xff]), value]);
}

/** A header of v2 with its checksum as last extension. */
export function v2Checked(options: V2Options = {}): Buffer {
  const header = v2({ ...options, tlvs: Buffer.concat([options.tlvs ?? Buffer.alloc(0), tlv(0x03, Buffer.alloc(4))]) });
  header.writeUInt32BE(crc32c(header), header.length - 4);
  return header;
}
