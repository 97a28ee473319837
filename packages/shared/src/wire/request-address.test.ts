import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ADDRESS_MAX_BYTES, decodeAddress, encodeAddress, type Target, targetOf } from './address.ts';
import { decodeRequestAddress, encodeRequestAddress } from './request-address.ts';
import { decodeRequest as decodeSocks4 } from './socks4.ts';
import { decodeRequest as decodeSocks5 } from './socks5.ts';
import { decodeDatagram } from './socks5-datagram.ts';
import { decodeRequest as decodeUdpOverTcp } from './udp-over-tcp.ts';

const bytes = (hex: string) => new Uint8Array(Buffer.from(hex.replaceAll(' ', ''), 'hex'));

function encode(target: Target, wantsStatus: boolean): Uint8Array {
  const out = new Uint8Array(ADDRESS_MAX_BYTES);
  return out.subarray(0, encodeRequestAddress(out, 0, { target, wantsStatus }));
}

describe('the address of a request', () => {
  it.each([
    [{ type: 'ipv4', host: '203.0.113.7', port: 5353 }, false, '01 cb007107 14e9'],
    [{ type: 'ipv4', host: '203.0.113.7', port: 5353 }, true, '81 cb007107 14e9'],
    [{ type: 'ipv6', host: '2001:db8::1', port: 443 }, true, '84 20010db8000000000000000000000001 01bb'],
    [{ type: 'name', host: 'web.default.svc', port: 80 }, true, '83 0f 7765622e64656661756c742e737663 0050'],
    [{ type: 'name', host: 'web.default.svc', port: 80 }, false, '03 0f 7765622e64656661756c742e737663 0050'],
  ] as const)('%o, status %s', (target, wantsStatus, hex) => {
    const { length } = bytes(hex);
    expect(encode(target, wantsStatus)).toEqual(bytes(hex));
    expect(decodeRequestAddress(bytes(hex), 0, length)).toEqual({ target, wantsStatus, length });
    for (let end = 0; end < length; end++) expect(decodeRequestAddress(bytes(hex), 0, end)).toBeUndefined();
  });

  it.each(['80', '82', '85', '02', '00', 'ff', 'c1'])('refuses the type 0x%s', hex => {
    expect(() => decodeRequestAddress(bytes(hex), 0, 1)).toThrow(`unknown address type 0x${hex}`);
  });

  it('without the bit is ADDR', () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6(), fc.domain()), fc.nat(0xffff), (host, port) => {
        const target = targetOf(host, port);
        const out = new Uint8Array(ADDRESS_MAX_BYTES);
        expect(encode(target, false)).toEqual(out.subarray(0, encodeAddress(out, 0, target)));
      }),
    );
  });

  it('throws nothing but our error, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), garbage => {
        try {
          decodeRequestAddress(garbage, 0, garbage.length);
        } catch (error) {
          expect(error).toMatchObject({ name: 'PodsocksError', code: 'ERR_ADDRESS' });
        }
      }),
    );
  });
});

describe('the bit is for requests of Shadowsocks alone:', () => {
  const flagged = encode(targetOf('10.0.0.1', 80), true);
  const refused = expect.objectContaining({ code: 'ERR_ADDRESS', message: 'unknown address type 0x81' });

  it.each<[string, () => unknown]>([
    ['ADDR of a datagram', () => decodeAddress(flagged, 0, flagged.length)],
    ['SOCKS5', () => decodeSocks5(Uint8Array.of(5, 1, 0, ...flagged), 0, 3 + flagged.length)],
    ['a SOCKS5 datagram', () => decodeDatagram(Uint8Array.of(0, 0, 0, ...flagged), 3 + flagged.length)],
    ['UDP over TCP', () => decodeUdpOverTcp(Uint8Array.of(0, ...flagged), 0, 1 + flagged.length)],
  ])('not of %s', (_, decode) => {
    expect(decode).toThrow(refused);
  });

  it('SOCKS4 has no type', () => {
    const request = Uint8Array.of(4, 1, 0, 80, 10, 0, 0, 1, 0);
    expect(decodeSocks4(request, 0, request.length)?.target).toEqual(targetOf('10.0.0.1', 80));
  });
});
