import fc from 'fast-check';
import ipaddr from 'ipaddr.js';
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
    [{ type: 'ipv6', host: '1.2.3.4', port: 1 } as const, 'is not an ipv6 address'],
    [{ type: 'ipv6', host: '1::2::3', port: 1 } as const, 'is not an ipv6 address'],
    [{ type: 'name', host: '', port: 1 } as const, 'a name takes 1..255 bytes'],
    [{ type: 'name', host: 'x'.repeat(256), port: 1 } as const, 'has 256'],
    [{ type: 'name', host: 'x', port: 65536 } as const, 'port 65536'],
  ])('does not write %o', (target, message) => {
    expect(() => encode(target)).toThrow(message);
  });
});

describe('hosts', () => {
  const encodedHost = (type: 'ipv4' | 'ipv6', host: string) => {
    try {
      return [...encode({ type, host, port: 0 }).slice(1, -2)];
    } catch (error) {
      expect(error).toMatchObject({ name: 'PodsocksError', code: 'ERR_ADDRESS' });
      return undefined;
    }
  };

  it('of IPv4 are what ipaddr.js takes for four decimal parts', () => {
    const part = fc.oneof(
      fc.nat(300).map(String),
      fc.stringMatching(/^[0-9]{0,4}$/),
      fc.constantFrom('00', '0x7', ' 1', '٣'),
    );
    const host = fc.oneof(
      fc.array(part, { maxLength: 6 }).map(parts => parts.join('.')),
      fc.string(),
    );
    fc.assert(
      fc.property(host, text => {
        const isOne = ipaddr.IPv4.isValidFourPartDecimal(text);
        expect(encodedHost('ipv4', text)).toEqual(isOne ? ipaddr.IPv4.parse(text).toByteArray() : undefined);
        expect(targetOf(text, 0).type === 'ipv4').toBe(isOne);
      }),
      { numRuns: 2000 },
    );
  });

  it.each([
    '0.0.0.0',
    '255.255.255.255',
    '256.0.0.0',
    '0.0.0.256',
    '00.0.0.0',
    '1.2.3.',
    '.1.2.3',
    '1..2.3',
    '1.2.3.4.',
    '',
  ])('of IPv4: "%s" is what ipaddr.js takes it for', text => {
    const isOne = ipaddr.IPv4.isValidFourPartDecimal(text);
    expect(encodedHost('ipv4', text)).toEqual(isOne ? ipaddr.IPv4.parse(text).toByteArray() : undefined);
  });

  it('of IPv6 are what ipaddr.js makes of them, the first time and every other, and with many between', () => {
    const some = fc.sample(fc.oneof(fc.ipV6(), fc.constant('::'), fc.string()), { numRuns: 1000, seed: 1 });
    for (const text of [...some, ...some, ...some.flatMap(each => [each, each])]) {
      const bytes = ipaddr.IPv6.isValid(text) ? ipaddr.IPv6.parse(text).toByteArray() : undefined;
      expect(encodedHost('ipv6', text)).toEqual(bytes);
      if (bytes === undefined) continue;
      const host = new ipaddr.IPv6(bytes).toRFC5952String();
      expect(decodeAddress(Uint8Array.of(4, ...bytes, 0, 0), 0, 19)?.target.host).toBe(host);
    }
  });

  it('stand behind other types where a protocol has its own', () => {
    const types = { ipv4: 0x00, ipv6: 0x01, name: 0x02 };
    for (const [host, type] of [
      ['10.0.0.1', 0],
      ['::1', 1],
      ['web', 2],
    ] as const) {
      const target = targetOf(host, 80);
      const out = new Uint8Array(ADDRESS_MAX_BYTES);
      const length = encodeAddress(out, 0, target, types);
      expect([...out.subarray(0, length)]).toEqual([type, ...encode(target).subarray(1)]);
      expect(decodeAddress(out, 0, length, types)).toEqual({ target, length });
    }
    expect(() => decodeAddress(bytes('03'), 0, 1, types)).toThrow('unknown address type 0x03');
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
