import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PodsocksError } from '../runtime/errors.ts';
import { ADDRESS_MAX_BYTES, decodeAddress, encodeAddress, formatTarget, type Target, targetOf } from './address.ts';

function encode(target: Target): Uint8Array {
  const out = new Uint8Array(ADDRESS_MAX_BYTES);
  return out.subarray(0, encodeAddress(out, 0, target));
}

const bytes = (hex: string) => new Uint8Array(Buffer.from(hex.replaceAll(' ', ''), 'hex'));

describe('ADDR', () => {
  it.each([
    [{ type: 'ipv4', host: '203.0.113.7', port: 5353 }, '01 cb007107 14e9'],
    [{ type: 'ipv6', host: '2001:db8::1', port: 443 }, '04 20010db8000000000000000000000001 01bb'],
    [{ type: 'name', host: 'web.default.svc', port: 80 }, '03 0f 7765622e64656661756c742e737663 0050'],
  ] as const)('%o', (target, hex) => {
    expect(encode(target)).toEqual(bytes(hex));
    expect(decodeAddress(bytes(hex), 0, bytes(hex).length)).toEqual({ target, length: bytes(hex).length });
  });

  it('comes back as it went, wherever it stands', () => {
    const host = fc.oneof(
      fc.ipV4(),
      fc.ipV6().filter(text => !text.includes('.')),
      fc.domain(),
      fc.stringMatching(/^[\x21-\x39\x3c-\x7e]{1,255}$/),
    );
    fc.assert(
      fc.property(host, fc.nat(0xffff), fc.nat(20), (text, port, at) => {
        const target = targetOf(text, port);
        const out = new Uint8Array(at + ADDRESS_MAX_BYTES);
        const length = encodeAddress(out, at, target);
        expect(decodeAddress(out, at, at + length)).toEqual({ target, length });
        for (let end = at; end < at + length; end++) expect(decodeAddress(out, at, end)).toBeUndefined();
      }),
    );
  });

  it.each([
    ['00', 'unknown address type 0x00'],
    ['02', 'unknown address type 0x02'],
    ['81', 'unknown address type 0x81'],
    ['03 00', 'the name in the address is empty'],
    ['03 03 61 20 62 0050', 'control character or a space'],
    ['03 03 61 0a 62 0050', 'control character or a space'],
    ['03 02 c285 0050', 'control character or a space'],
    ['03 03 efbbbf 0050', 'control character or a space'],
    ['03 02 c328 0050', 'not UTF-8'],
  ])('refuses %s', (hex, message) => {
    const decode = () => decodeAddress(bytes(hex), 0, bytes(hex).length);
    expect(decode).toThrow(PodsocksError);
    expect(decode).toThrow(message);
  });

  it('throws nothing but our error, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), garbage => {
        try {
          const decoded = decodeAddress(garbage, 0, garbage.length);
          if (decoded !== undefined) expect(decoded.length).toBeLessThanOrEqual(garbage.length);
        } catch (error) {
          expect(error).toMatchObject({ name: 'PodsocksError', code: 'ERR_ADDRESS' });
        }
      }),
    );
  });

  it.each([
    [{ type: 'ipv4', host: '1.2.3', port: 1 } as const, 'is not an ipv4 address'],
    [{ type: 'name', host: '', port: 1 } as const, 'a name takes 1..255 bytes'],
    [{ type: 'name', host: 'x'.repeat(256), port: 1 } as const, 'has 256'],
    [{ type: 'name', host: 'x', port: 65536 } as const, 'port 65536'],
  ])('does not write %o', (target, message) => {
    expect(() => encode(target)).toThrow(message);
  });
});

describe('targets from text', () => {
  it.each([
    ['10.0.0.1', 'ipv4', '10.0.0.1'],
    ['[2001:DB8::0:1]', 'ipv6', '2001:db8::1'],
    ['::1', 'ipv6', '::1'],
    ['010.0.0.1', 'name', '010.0.0.1'],
    ['10.1', 'name', '10.1'],
    ['Web.Default', 'name', 'Web.Default'],
    ['[web]', 'name', '[web]'],
    ['[]', 'name', '[]'],
    ['[10.0.0.1]', 'name', '[10.0.0.1]'],
  ])('%s is %s', (text, type, host) => {
    expect(targetOf(text, 1)).toEqual({ type, host, port: 1 });
  });

  it('are written with brackets around IPv6', () => {
    expect(formatTarget({ host: '::1', port: 80 })).toBe('[::1]:80');
    expect(formatTarget({ host: 'web', port: 80 })).toBe('web:80');
  });
});
