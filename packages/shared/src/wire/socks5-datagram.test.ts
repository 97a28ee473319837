import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { targetOf } from './address.ts';
import { DATAGRAM_HEADER_MAX_BYTES, decodeDatagram, encodeDatagramHeader } from './socks5-datagram.ts';

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const bytes = (text: string) => new Uint8Array(Buffer.from(text.replaceAll(' ', ''), 'hex'));

const known = [
  [targetOf('8.8.8.8', 53), '0000 00 01 08080808 0035'],
  [targetOf('2001:db8::1', 443), '0000 00 04 20010db8000000000000000000000001 01bb'],
  [targetOf('a.b', 8080), '0000 00 03 03 612e62 1f90'],
] as const;

describe('a SOCKS5 datagram', () => {
  it.each(known)('to %o is as RFC 1928 section 7 has it', (target, text) => {
    const out = new Uint8Array(5 + DATAGRAM_HEADER_MAX_BYTES).fill(0xee);
    const length = encodeDatagramHeader(out, 5, target);
    expect(hex(out.subarray(0, 5))).toBe('eeeeeeeeee');
    expect(hex(out.subarray(5, 5 + length))).toBe(text.replaceAll(' ', ''));
    expect(out.subarray(5 + length).every(byte => byte === 0xee)).toBe(true);

    const input = bytes(`${text} 1234 eeee`);
    expect(decodeDatagram(input, input.length - 2)).toEqual({ fragment: 0, target, payloadAt: length });
  });

  it.each(known)('to %o is refused when it ends inside its header, and may be empty', (target, text) => {
    const input = bytes(text);
    for (let length = 0; length < input.length; length++) {
      const truncated = expect.objectContaining({ name: 'PodsocksError', code: 'ERR_TRUNCATED' });
      expect(() => decodeDatagram(input, length)).toThrow(truncated);
      expect(() => decodeDatagram(input.slice(0, length), length)).toThrow(truncated);
    }
    expect(decodeDatagram(input, input.length)).toEqual({ fragment: 0, target, payloadAt: input.length });
  });

  it('comes back as it went, with any FRAG and whatever RSV holds', () => {
    const host = fc.oneof(fc.ipV4(), fc.ipV6(), fc.domain());
    const byte = fc.nat(0xff);
    fc.assert(
      fc.property(host, fc.nat(0xffff), fc.tuple(byte, byte, byte), (text, port, [high, low, fragment]) => {
        const target = targetOf(text, port);
        const out = new Uint8Array(DATAGRAM_HEADER_MAX_BYTES);
        const payloadAt = encodeDatagramHeader(out, 0, target);
        out.set([high, low, fragment]);
        expect(decodeDatagram(out, out.length)).toEqual({ fragment, target, payloadAt });
      }),
    );
  });

  it('of garbage is one within its bounds or a PodsocksError', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), garbage => {
        try {
          expect(decodeDatagram(garbage, garbage.length).payloadAt).toBeLessThanOrEqual(garbage.length);
        } catch (error) {
          expect(error).toMatchObject({
            name: 'PodsocksError',
            code: expect.stringMatching(/^ERR_(TRUNCATED|ADDRESS)$/),
          });
        }
      }),
    );
  });

  it('has the longest header with the longest name', () => {
    const out = new Uint8Array(DATAGRAM_HEADER_MAX_BYTES);
    const longest = { type: 'name', host: 'x'.repeat(255), port: 1 } as const;
    expect(encodeDatagramHeader(out, 0, longest)).toBe(DATAGRAM_HEADER_MAX_BYTES);
    expect(() => encodeDatagramHeader(out, 1, longest)).toThrow(RangeError);
  });
});
