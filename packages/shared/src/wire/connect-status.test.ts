import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { targetOf } from './address.ts';
import {
  type ConnectReply,
  type ConnectStatus,
  decodeStatus,
  encodeStatus,
  STATUS_MAX_BYTES,
} from './connect-status.ts';
import { Reply, UNBOUND } from './socks5.ts';

const bytes = (hex: string) => new Uint8Array(Buffer.from(hex.replaceAll(' ', ''), 'hex'));

describe('connect status', () => {
  it.each<[ConnectReply, string, string]>([
    ['succeeded', '10.96.0.10', '00 01 0a60000a 0035'],
    ['succeeded', 'fd00::7', '00 04 fd000000000000000000000000000007 0035'],
  ])('%s, %s', (reply, host, hex) => {
    const status = { reply, bound: targetOf(host, 53) };
    expect(encodeStatus(status)).toEqual(bytes(hex));
    expect(decodeStatus(bytes(hex), 0, bytes(hex).length)).toEqual({ status, length: bytes(hex).length });
  });

  it.each([
    ['generalFailure', '01'],
    ['notAllowed', '02'],
    ['networkUnreachable', '03'],
    ['hostUnreachable', '04'],
    ['connectionRefused', '05'],
    ['ttlExpired', '06'],
  ] as const)('%s is 0x%s and no address', (reply, hex) => {
    expect(encodeStatus({ reply, bound: UNBOUND })).toEqual(bytes(`${hex} 01 00000000 0000`));
  });

  const anyStatus: fc.Arbitrary<ConnectStatus> = fc
    .tuple(fc.constantFrom(...(Object.keys(Reply) as ConnectReply[])), fc.oneof(fc.ipV4(), fc.ipV6()), fc.nat(0xffff))
    .map(([reply, host, port]) => ({ reply, bound: targetOf(host, port) }));

  it('comes back as it went, wherever it stands, and is awaited to its last byte', () => {
    fc.assert(
      fc.property(
        anyStatus,
        fc.uint8Array({ maxLength: 9 }),
        fc.uint8Array({ maxLength: 9 }),
        (status, front, behind) => {
          const encoded = encodeStatus(status);
          expect(encoded.length).toBeLessThanOrEqual(STATUS_MAX_BYTES);
          const input = Buffer.concat([front, encoded, behind]);
          const end = front.length + encoded.length;
          for (let part = front.length; part < end; part++) {
            expect(decodeStatus(input, front.length, part)).toBeUndefined();
          }
          expect(decodeStatus(input, front.length, input.length)).toEqual({ status, length: encoded.length });
        },
      ),
    );
  });

  it.each([
    ['09', 'its reply is 0x09'],
    ['ff', 'its reply is 0xff'],
    ['48545450', 'its reply is 0x48'], // HTTP
    ['00 03', 'its address type is 0x03'], // a name
    ['00 81', 'its address type is 0x81'],
    ['05 00', 'its address type is 0x00'],
  ])('is refused with the first byte that cannot be one: %s', (hex, message) => {
    const all = bytes(hex);
    const decode = () => decodeStatus(all, 0, all.length);
    expect(decode).toThrow(expect.objectContaining({ code: 'ERR_HEADER', message: expect.stringContaining(message) }));
  });

  it('is decided by so many bytes, whatever they are, with nothing but our error', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: STATUS_MAX_BYTES, maxLength: STATUS_MAX_BYTES }), garbage => {
        try {
          expect(decodeStatus(garbage, 0, garbage.length)).toBeDefined();
        } catch (error) {
          expect(error).toMatchObject({ code: 'ERR_HEADER' });
        }
      }),
    );
  });
});
