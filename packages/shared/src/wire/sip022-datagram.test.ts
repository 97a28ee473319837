import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PodsocksError } from '../runtime/errors.ts';
import { targetOf } from './address.ts';
import {
  decodeClientHeader,
  decodeSeparateHeader,
  decodeServerHeader,
  encodeClientHeader,
  encodeSeparateHeader,
  encodeServerHeader,
  MAIN_HEADER_MAX_BYTES,
} from './sip022-datagram.ts';

const NOW = 1_700_000_000;
const SESSION = 0x0102030405060708n;
const TARGET = targetOf('8.8.8.8', 53);
const padding = Buffer.from('pad');
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const bytes = (text: string) => new Uint8Array(Buffer.from(text.replaceAll(' ', ''), 'hex'));

const CLIENT_HEX = '00 000000006553f100 0003 706164 01 08080808 0035';
const SERVER_HEX = '01 000000006553f100 0102030405060708 0003 706164 01 08080808 0035';

const decoders = { client: decodeClientHeader, server: decodeServerHeader };

function written(encode: (out: Uint8Array, at: number) => number): string {
  const out = new Uint8Array(5 + MAIN_HEADER_MAX_BYTES).fill(0xee);
  const length = encode(out, 5);
  expect(hex(out.subarray(0, 5))).toBe('eeeeeeeeee');
  expect(out[5 + length]).toBe(0xee);
  return hex(out.subarray(5, 5 + length));
}

describe('the separate header', () => {
  it('is a session id and a packet id', () => {
    const out = new Uint8Array(18);
    encodeSeparateHeader(out, 1, SESSION, { high: 0x11121314, low: 0xf5f6f7f8 });
    expect(hex(out)).toBe('000102030405060708 11121314f5f6f7f8 00'.replaceAll(' ', ''));
    expect(decodeSeparateHeader(out, 1)).toEqual({
      sessionId: SESSION,
      packetId: { high: 0x11121314, low: 0xf5f6f7f8 },
    });
  });

  it('is exact to the last bit, wherever it stands', () => {
    const u32 = fc.integer({ min: 0, max: 0xffffffff });
    fc.assert(
      fc.property(fc.bigInt(0n, 2n ** 64n - 1n), u32, u32, fc.nat(9), (sessionId, high, low, at) => {
        const out = new Uint8Array(64).subarray(3);
        encodeSeparateHeader(out, at, sessionId, { high, low });
        expect(decodeSeparateHeader(out, at)).toEqual({ sessionId, packetId: { high, low } });
      }),
    );
  });
});

describe('the main header', () => {
  it('to the server is as SIP022 section 3.2.3 has it', () => {
    expect(written((out, at) => encodeClientHeader(out, at, NOW, padding, TARGET))).toBe(
      CLIENT_HEX.replaceAll(' ', ''),
    );
    const input = bytes(`eeee ${CLIENT_HEX} 1234`);
    expect(decodeClientHeader(input, 2, input.length, NOW)).toEqual({ target: TARGET, payloadAt: input.length - 2 });
  });

  it('to the client is as SIP022 section 3.2.3 has it', () => {
    expect(written((out, at) => encodeServerHeader(out, at, NOW, SESSION, padding, TARGET))).toBe(
      SERVER_HEX.replaceAll(' ', ''),
    );
    const input = bytes(`eeee ${SERVER_HEX} 1234`);
    expect(decodeServerHeader(input, 2, input.length, NOW)).toEqual({
      clientSessionId: SESSION,
      target: TARGET,
      payloadAt: input.length - 2,
    });
  });

  it('comes back as it went', () => {
    const target = fc.tuple(fc.oneof(fc.ipV4(), fc.domain()), fc.nat(0xffff));
    fc.assert(
      fc.property(target, fc.nat(900), fc.nat(30), fc.bigInt(0n, 2n ** 64n - 1n), ([host, port], pad, at, session) => {
        const sent = targetOf(host, port);
        const out = new Uint8Array(at + MAIN_HEADER_MAX_BYTES);
        const toServer = at + encodeClientHeader(out, at, NOW, new Uint8Array(pad), sent);
        expect(decodeClientHeader(out, at, toServer, NOW)).toEqual({ target: sent, payloadAt: toServer });
        const toClient = at + encodeServerHeader(out, at, NOW, session, new Uint8Array(pad), sent);
        expect(decodeServerHeader(out, at, toClient, NOW)).toEqual({
          clientSessionId: session,
          target: sent,
          payloadAt: toClient,
        });
      }),
    );
  });

  it.each([
    ['client', CLIENT_HEX],
    ['server', SERVER_HEX],
  ] as const)('from the %s: every truncation is one', (end, text) => {
    const input = bytes(text);
    for (let length = 0; length < input.length; length++) {
      expect(() => decoders[end](input, 0, length, NOW)).toThrow(expect.objectContaining({ code: 'ERR_HEADER' }));
    }
  });

  it.each([
    ['client', CLIENT_HEX, '01', 'the header has type 1, 0 was expected'],
    ['client', CLIENT_HEX, 'ff', 'the header has type 255, 0 was expected'],
    ['server', SERVER_HEX, '00', 'the header has type 0, 1 was expected'],
  ] as const)('from the %s: another type is refused', (end, text, type, message) => {
    const input = bytes(type + text.slice(2));
    expect(() => decoders[end](input, 0, input.length, NOW)).toThrow(new PodsocksError('ERR_HEADER', message));
  });

  it.each([
    ['client', CLIENT_HEX],
    ['server', SERVER_HEX],
  ] as const)('from the %s: a clock may be 30 s off and no more', (end, text) => {
    const input = bytes(text);
    for (const now of [NOW - 30, NOW + 30]) expect(decoders[end](input, 0, input.length, now).target).toEqual(TARGET);
    for (const now of [NOW - 31, NOW + 31]) {
      expect(() => decoders[end](input, 0, input.length, now)).toThrow(
        expect.objectContaining({ code: 'ERR_TIMESTAMP' }),
      );
    }
  });

  it.each(['client', 'server'] as const)('from the %s: padding that is longer than the packet is refused', end => {
    const text = end === 'client' ? CLIENT_HEX : SERVER_HEX;
    for (const length of ['000b', '0384', 'ffff']) {
      const input = bytes(text.replace('0003', length));
      expect(() => decoders[end](input, 0, input.length, NOW)).toThrow('the packet ends inside its padding');
    }
    const whole = bytes(text.replace('0003', '000a'));
    expect(() => decoders[end](whole, 0, whole.length, NOW)).toThrow('the packet ends inside its address');
  });

  it('throws nothing but our error, whatever the bytes', () => {
    const times = fc.constantFrom(0, NOW, 2 ** 40);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), fc.constantFrom(0, 1, 2), times, (garbage, type, now) => {
        // With a type and a time that pass, so that the rest is read as well.
        const input = Buffer.from(garbage);
        if (input.length > 9) {
          input[0] = type;
          input.writeBigUInt64BE(BigInt(now), 1);
        }
        for (const decode of Object.values(decoders)) {
          try {
            const { payloadAt } = decode(input, 0, input.length, now);
            expect(payloadAt).toBeLessThanOrEqual(input.length);
          } catch (error) {
            expect(error).toMatchObject({ name: 'PodsocksError' });
          }
        }
      }),
      { numRuns: 1000 },
    );
  });
});
