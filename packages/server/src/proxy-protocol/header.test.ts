import { PodsocksError } from '@podsocks/shared/runtime/errors';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { crc32c } from './crc32c.ts';
import { decodeProxyHeader, HEADER_MAX_BYTES } from './header.ts';
import { tlv, v2, v2Checked } from './header-fixtures.ts';

const decode = (bytes: Uint8Array | string) => {
  const input = Buffer.from(bytes as string, 'latin1');
  return decodeProxyHeader(input, 0, input.length);
};

const client = (address: string, port: number) => ({ address, port });
const ADA = client('192.0.2.7', 56_324);
const IPV6 = '20010db8000000000000000000000007'.concat('20010db8000000000000000000000001', 'dc0420c4');
const MAPPED = '00000000000000000000ffffc0000207'.concat('20010db8000000000000000000000001', 'dc0420c4');

/** The longest that HAProxy's document gives. */
const LONGEST = `PROXY UNKNOWN ${'ffff:'.repeat(7)}ffff ${'ffff:'.repeat(7)}ffff 65535 65535\r\n`;

const GOOD: readonly [what: string, bytes: Uint8Array | string, client: unknown][] = [
  ['v1, IPv4', 'PROXY TCP4 192.0.2.7 198.51.100.1 56324 8388\r\n', ADA],
  ['v1, IPv6', 'PROXY TCP6 2001:DB8:0::7 2001:db8::1 56324 8388\r\n', client('2001:db8::7', 56_324)],
  ['v1, IPv4 in IPv6', 'PROXY TCP6 ::ffff:192.0.2.7 ::ffff:198.51.100.1 56324 8388\r\n', ADA],
  ['v1, ports at their ends', 'PROXY TCP4 192.0.2.7 198.51.100.1 0 65535\r\n', client('192.0.2.7', 0)],
  ['v1, unknown', 'PROXY UNKNOWN\r\n', undefined],
  ['v1, the longest', LONGEST, undefined],
  ['v2, IPv4', v2(), ADA],
  ['v2, IPv6', v2({ family: 0x21, addresses: IPV6 }), client('2001:db8::7', 56_324)],
  ['v2, IPv4 in IPv6', v2({ family: 0x21, addresses: MAPPED }), ADA],
  ['v2, a health check', v2({ versionAndCommand: 0x20, family: 0, addresses: '' }), undefined],
  ['v2, a health check with addresses', v2({ versionAndCommand: 0x20 }), undefined],
  ['v2, a health check with less than addresses', v2({ versionAndCommand: 0x20, addresses: 'c0' }), undefined],
  ['v2, unspecified', v2({ family: 0, addresses: '' }), undefined],
  ['v2, datagrams', v2({ family: 0x12 }), undefined],
  ['v2, Unix', v2({ family: 0x31, addresses: '61'.repeat(216) }), undefined],
  ['v2, extensions', v2({ tlvs: Buffer.concat([tlv(0x04, Buffer.alloc(9)), tlv(0xea, Buffer.from('vpce-1'))]) }), ADA],
  ['v2, checksum', v2Checked({ tlvs: tlv(0x01, Buffer.from('h2')) }), ADA],
  ['v2, the longest', v2({ tlvs: tlv(0x04, Buffer.alloc(HEADER_MAX_BYTES - 16 - 12 - 3)) }), ADA],
];

const BAD: readonly [what: string, bytes: Uint8Array | string, message: RegExp][] = [
  ['another protocol', 'GET / HTTP/1.1\r\n', /is missing/],
  ['lower case', 'proxy TCP4 192.0.2.7 198.51.100.1 1 2\r\n', /is missing/],
  ['random bytes', Buffer.from('0d0a0d0a010d', 'hex'), /is missing/],
  ['v1, one byte too long', LONGEST.replace('UNKNOWN', 'UNKNOWN '), /no end within 107/],
  ['v1, no end', `PROXY ${'x'.repeat(101)}`, /no end within 107/],
  ['v1, CR alone', 'PROXY UNKNOWN\rx', /CR without LF/],
  ['v1, another family', 'PROXY UDP4 192.0.2.7 198.51.100.1 1 2\r\n', /no family/],
  ['v1, nothing', 'PROXY \r\n', /no family/],
  ['v1, IPv6 as IPv4', 'PROXY TCP4 2001:db8::7 198.51.100.1 1 2\r\n', /two addresses/],
  ['v1, IPv4 as IPv6', 'PROXY TCP6 192.0.2.7 2001:db8::1 1 2\r\n', /two addresses/],
  ['v1, a zone', 'PROXY TCP6 fe80::1%eth0 2001:db8::1 1 2\r\n', /two addresses/],
  ['v1, a name', 'PROXY TCP4 localhost 198.51.100.1 1 2\r\n', /two addresses/],
  ['v1, short IPv4', 'PROXY TCP4 127.1 198.51.100.1 1 2\r\n', /two addresses/],
  ['v1, two spaces', 'PROXY TCP4 192.0.2.7  198.51.100.1 1 2\r\n', /two addresses/],
  ['v1, a field too many', 'PROXY TCP4 192.0.2.7 198.51.100.1 1 2 3\r\n', /two addresses/],
  ['v1, a port too high', 'PROXY TCP4 192.0.2.7 198.51.100.1 65536 2\r\n', /two ports/],
  ['v1, a port with a zero ahead', 'PROXY TCP4 192.0.2.7 198.51.100.1 080 2\r\n', /two ports/],
  ['v1, no port', 'PROXY TCP4 192.0.2.7 198.51.100.1 1 \r\n', /two ports/],
  ['v2, version 1', v2({ versionAndCommand: 0x11 }), /version or command/],
  ['v2, command 2', v2({ versionAndCommand: 0x22 }), /version or command/],
  ['v2, family 4', v2({ family: 0x41 }), /no family/],
  ['v2, transport 3', v2({ family: 0x13 }), /no family/],
  ['v2, too short', v2({ addresses: 'c0000207c6336401dc0420' }), /too short/],
  ['v2, too long', v2({ tlvs: Buffer.alloc(HEADER_MAX_BYTES - 16 - 12 + 1) }).subarray(0, 16), /longer than/],
  ['v2, an extension cut in its length', v2({ tlvs: Buffer.from('0400', 'hex') }), /is cut/],
  ['v2, an extension cut in its value', v2({ tlvs: Buffer.from('04000561', 'hex') }), /is cut/],
  ['v2, checksum wrong', Buffer.concat([v2Checked().subarray(0, -1), Buffer.from([0x55])]), /wrong checksum/],
  ['v2, checksum of another length', v2({ tlvs: tlv(0x03, Buffer.alloc(3)) }), /checksum that is none/],
];

describe('decodeProxyHeader', () => {
  it.each(GOOD)('reads %s', (_, bytes, expected) => {
    const { length } = bytes;
    expect(decode(bytes)).toEqual({ client: expected, length });
    expect(decode(Buffer.concat([Buffer.from(bytes as string, 'latin1'), Buffer.from('what follows')]))).toEqual({
      client: expected,
      length,
    });
    for (let cut = 0; cut < Math.min(length, 300); cut++) expect(decode(bytes.slice(0, cut))).toBeUndefined();
  });

  it.each(BAD)('refuses %s', (_, bytes, message) => {
    expect(() => decode(bytes)).toThrow(expect.objectContaining({ code: 'ERR_HEADER' }));
    expect(() => decode(bytes)).toThrow(message);
  });

  it('reads at any place of a larger array', () => {
    const input = Buffer.concat([Buffer.alloc(5, 0xff), v2Checked(), Buffer.alloc(5, 0xff)]).subarray(1);
    expect(decodeProxyHeader(input, 4, input.length)).toEqual({ client: ADA, length: v2Checked().length });
  });

  it('notices any bit that changed in a header with a checksum', () => {
    const header = v2Checked({ tlvs: tlv(0x02, Buffer.from('example.com')) });
    const typeOfChecksum = header.length - 7;
    const bits = fc.integer({ min: 0, max: header.length * 8 - 1 }).filter(bit => bit >> 3 !== typeOfChecksum);
    fc.assert(
      fc.property(bits, bit => {
        const altered = Buffer.from(header);
        altered[bit >> 3]! ^= 1 << (bit & 7);
        let read: ReturnType<typeof decode>;
        try {
          read = decode(altered);
        } catch (error) {
          expect(error).toBeInstanceOf(PodsocksError);
        }
        // It may be incomplete now, or a health check, of which nothing counts.
        expect(read?.client).toBeUndefined();
      }),
      { numRuns: 500 },
    );
  });

  it('throws nothing but PodsocksError, whatever comes', () => {
    const beginnings = [Buffer.alloc(0), Buffer.from('PROXY '), Buffer.from('PROXY TCP4 '), v2().subarray(0, 12)];
    fc.assert(
      fc.property(fc.constantFrom(...beginnings), fc.uint8Array({ maxLength: 300 }), (beginning, rest) => {
        const input = Buffer.concat([beginning, rest]);
        try {
          const read = decode(input);
          expect(read?.length ?? 0).toBeLessThanOrEqual(input.length);
        } catch (error) {
          expect(error).toBeInstanceOf(PodsocksError);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('asks for no more than the bound', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('PROXY ', v2().subarray(0, 14).toString('latin1')),
        fc.uint8Array(),
        (start, rest) => {
          const input = Buffer.concat([Buffer.from(start, 'latin1'), rest, Buffer.alloc(HEADER_MAX_BYTES)]);
          try {
            expect(decode(input)).toBeDefined();
          } catch (error) {
            expect(error).toBeInstanceOf(PodsocksError);
          }
        },
      ),
    );
  });
});

// Of RFC 3720 appendix B.4, and the check value of the catalogue of CRCs.
it.each([
  ['313233343536373839', 0xe3069283],
  ['00'.repeat(32), 0x8a9136aa],
  ['ff'.repeat(32), 0x62a8ab43],
  ['', 0],
])('CRC-32C of %s', (hex, expected) => {
  expect(crc32c(Buffer.from(hex, 'hex'))).toBe(expected);
});
