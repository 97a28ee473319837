import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PodsocksError } from '../runtime/errors.ts';
import { type Target, targetOf } from './address.ts';
import {
  decodeRequest,
  encodePacketHeader,
  encodeRequest,
  PACKET_HEADER_MAX_BYTES,
  PacketReader,
  REQUEST_MAX_BYTES,
} from './udp-over-tcp.ts';

const V4 = targetOf('8.8.8.8', 53);
const V6 = targetOf('2001:db8::1', 443);
const NAME = targetOf('a.example', 53);
const LONGEST: Target = { type: 'name', host: 'x'.repeat(255), port: 1 };

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const bytes = (text: string) => new Uint8Array(Buffer.from(text.replaceAll(' ', ''), 'hex'));

const anyTarget = fc
  .tuple(fc.oneof(fc.ipV4(), fc.ipV6(), fc.domain()), fc.nat(0xffff))
  .map(([host, port]) => targetOf(host, port));

interface Packet {
  readonly target: Target;
  readonly data: string;
}

function written(encode: (out: Uint8Array, at: number) => number): string {
  const out = new Uint8Array(5 + PACKET_HEADER_MAX_BYTES + 5).fill(0xee);
  const length = encode(out, 5);
  expect(hex(out.subarray(0, 5))).toBe('eeeeeeeeee');
  expect(out.subarray(5 + length).every(byte => byte === 0xee)).toBe(true);
  return hex(out.subarray(5, 5 + length));
}

function streamOf(packets: readonly Packet[], connected: Target | undefined): Uint8Array {
  const header = new Uint8Array(PACKET_HEADER_MAX_BYTES);
  const parts = packets.flatMap(({ target, data }) => {
    const payload = Buffer.from(data, 'hex');
    const length = encodePacketHeader(header, 0, connected ? undefined : target, payload.length);
    return [header.slice(0, length), payload];
  });
  return new Uint8Array(Buffer.concat(parts));
}

/** Reads `stream` in pieces of the given lengths, over and over; each piece is wiped after it was read. */
function readInPieces(reader: PacketReader, stream: Uint8Array, lengths: readonly number[]): Packet[] {
  const packets: Packet[] = [];
  for (let at = 0, turn = 0; at < stream.length; turn++) {
    const piece = Uint8Array.from([0xee, ...stream.subarray(at, at + lengths[turn % lengths.length]!), 0xee]);
    reader.read(piece, 1, piece.length - 2, (target, data, dataAt, length) => {
      packets.push({ target, data: hex(data.subarray(dataAt, dataAt + length)) });
    });
    piece.fill(0);
    at += piece.length - 2;
    expect(reader.heldBytes).toBeLessThanOrEqual(2 * at);
  }
  return packets;
}

describe('a request', () => {
  // As EncodeRequest of sing v0.9.4 writes them.
  it.each([
    [false, V4, '00 01 08080808 0035'],
    [false, V6, '00 04 20010db8000000000000000000000001 01bb'],
    [false, targetOf('0.0.0.0', 0), '00 01 00000000 0000'],
    [true, V4, '01 01 08080808 0035'],
    [true, V6, '01 04 20010db8000000000000000000000001 01bb'],
    [true, NAME, '01 03 09 612e6578616d706c65 0035'],
  ])('with connect %s and %o is as sing has it', (isConnect, target, text) => {
    expect(written((out, at) => encodeRequest(out, at, { isConnect, target }))).toBe(text.replaceAll(' ', ''));
    const input = bytes(`ee ${text} 00`);
    const end = input.length - 1;
    expect(decodeRequest(input, 1, input.length)).toEqual({ isConnect, target, length: end - 1 });
    for (let length = 0; length < end - 1; length++) expect(decodeRequest(input, 1, 1 + length)).toBeUndefined();
  });

  it('comes back as it went, wherever it stands', () => {
    fc.assert(
      fc.property(fc.boolean(), anyTarget, fc.nat(20), (isConnect, target, at) => {
        const out = new Uint8Array(at + REQUEST_MAX_BYTES);
        const length = encodeRequest(out, at, { isConnect, target });
        expect(decodeRequest(out, at, at + length)).toEqual({ isConnect, target, length });
        for (let end = at; end < at + length; end++) expect(decodeRequest(out, at, end)).toBeUndefined();
      }),
    );
  });

  it.each(['', '00 08080808 0035 0000', '01 2001', '02 09'])(
    'may name no target, as sing reads it; then comes "%s"',
    rest => {
      const input = bytes(`00 03 00 ${rest}`);
      const target = targetOf('0.0.0.0', 0);
      expect(decodeRequest(input, 0, input.length)).toEqual({ isConnect: false, target, length: 3 });
      for (let end = 0; end < 3; end++) expect(decodeRequest(input, 0, end)).toBeUndefined();
    },
  );

  it.each([
    ['02 01', 'ERR_HEADER', 'begins with 2, not 0 or 1'],
    ['ff', 'ERR_HEADER', 'begins with 255, not 0 or 1'],
    ['01 03 00', 'ERR_ADDRESS', 'the name in the address is empty'],
    ['00 00', 'ERR_ADDRESS', 'unknown address type 0x00'],
    ['00 ff', 'ERR_ADDRESS', 'unknown address type 0xff'],
  ] as const)('%s is refused', (text, code, message) => {
    const decode = () => decodeRequest(bytes(text), 0, bytes(text).length);
    expect(decode).toThrow(expect.objectContaining({ name: 'PodsocksError', code }));
    expect(decode).toThrow(message);
  });

  it('of garbage is one within its bounds or a PodsocksError', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), garbage => {
        try {
          expect(decodeRequest(garbage, 0, garbage.length)?.length ?? 0).toBeLessThanOrEqual(garbage.length);
        } catch (error) {
          expect(error).toMatchObject({ name: 'PodsocksError', code: expect.stringMatching(/^ERR_(HEADER|ADDRESS)$/) });
        }
      }),
    );
  });
});

describe('packets', () => {
  // As WritePacket of sing v0.9.4 writes them; the last is what its server makes of an IPv4 peer on a socket of both families.
  it.each([
    [undefined, V4, '00 08080808 0035 0002 6869'],
    [undefined, V6, '01 20010db8000000000000000000000001 01bb 0002 6869'],
    [undefined, NAME, '02 09 612e6578616d706c65 0035 0002 6869'],
    [undefined, V4, '00 08080808 0035 0000'],
    [V4, V4, '0002 6869'],
    [V4, V4, '0000'],
    [undefined, targetOf('::ffff:1.2.3.4', 53), '01 00000000000000000000ffff01020304 0035 0002 6869'],
  ])('connected to %o, for %o, are as sing has them: %s', (connected, target, text) => {
    const stream = bytes(text);
    const data = text.endsWith('6869') ? '6869' : '';
    const header = hex(stream.subarray(0, stream.length - data.length / 2));
    expect(written((out, at) => encodePacketHeader(out, at, connected ? undefined : target, data.length / 2))).toBe(
      header,
    );
    expect(readInPieces(new PacketReader(connected), stream, [stream.length])).toEqual([{ target, data }]);
  });

  it('come out of any split as they went in', () => {
    const data = fc.oneof(fc.constant(new Uint8Array(0)), fc.uint8Array({ maxLength: 700 })).map(hex);
    const packets = fc.array(fc.record({ target: anyTarget, data }), { maxLength: 12 });
    const lengths = fc.array(fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 900 })), {
      minLength: 1,
    });
    fc.assert(
      fc.property(packets, fc.option(anyTarget, { nil: undefined }), lengths, (sent, connected, pieces) => {
        const reader = new PacketReader(connected);
        const expected = connected ? sent.map(packet => ({ ...packet, target: connected })) : sent;
        expect(readInPieces(reader, streamOf(sent, connected), pieces)).toEqual(expected);
        expect(reader.heldBytes).toBe(0);
      }),
    );
  });

  it('come out of every single cut, and byte by byte', () => {
    const sent = [V4, LONGEST, V6, NAME].flatMap(target => [
      { target, data: '' },
      { target, data: '010203' },
    ]);
    const stream = streamOf(sent, undefined);
    expect(readInPieces(new PacketReader(undefined), stream, [1])).toEqual(sent);
    for (let cut = 1; cut < stream.length; cut++) {
      expect(readInPieces(new PacketReader(undefined), stream, [cut, stream.length])).toEqual(sent);
    }
  });

  it('that lie whole in the input are not copied, and of others no more than they have', () => {
    const sent = Array.from({ length: 1000 }, () => ({ target: NAME, data: 'aabb' }));
    const stream = streamOf(sent, undefined);
    const one = stream.length / sent.length;
    for (const cut of [1, one - 1, one, stream.length - 1]) {
      const reader = new PacketReader(undefined);
      const copies: number[] = [];
      const take = (_: Target, data: Uint8Array) => data !== stream && copies.push(data.length);
      reader.read(stream, 0, cut, take);
      reader.read(stream, cut, stream.length - cut, take);
      expect(copies).toHaveLength(cut === one ? 0 : 1);
      expect(copies[0] ?? 0).toBeLessThanOrEqual(PACKET_HEADER_MAX_BYTES);
    }
  });

  it('of a peer that stalls hold what it sent, not what it announced', () => {
    const stream = bytes(`00 08080808 0035 ffff ${'00'.repeat(0xffff)}`);
    const reader = new PacketReader(undefined);
    const taken: number[] = [];
    let mostHeld = 0;
    let mostForItsBytes = 0;
    for (let sent = 0; sent < stream.length; ) {
      reader.read(stream, sent++, 1, (_target, _data, _at, length) => taken.push(length));
      mostHeld = Math.max(mostHeld, reader.heldBytes);
      mostForItsBytes = Math.max(mostForItsBytes, reader.heldBytes / sent);
    }
    expect(mostHeld).toBeLessThanOrEqual(PACKET_HEADER_MAX_BYTES + 0xffff);
    expect(mostForItsBytes).toBeLessThanOrEqual(2);
    expect(taken).toEqual([0xffff]);
    expect(reader.heldBytes).toBe(0);
  });

  it.each([
    ['03 03', 'unknown address type 0x03'],
    ['04', 'unknown address type 0x04'],
    ['00 08080808 0035 0000 ff', 'unknown address type 0xff'],
    ['02 00', 'the name in the address is empty'],
    ['02 01 20 0035', 'control character or a space'],
    ['02 02 c328 0035 0000', 'not UTF-8'],
  ])('%s end the stream, whole or byte by byte', (text, message) => {
    const stream = bytes(text);
    const error = expect.objectContaining({ code: 'ERR_ADDRESS', message: expect.stringContaining(message) });
    expect(() => readInPieces(new PacketReader(undefined), stream, [stream.length])).toThrow(error);
    expect(() => readInPieces(new PacketReader(undefined), stream, [1])).toThrow(error);
  });

  it('of garbage are packets or a PodsocksError', () => {
    const pieces = fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1 });
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2000 }), fc.boolean(), pieces, (garbage, isConnect, lengths) => {
        try {
          readInPieces(new PacketReader(isConnect ? V4 : undefined), garbage, lengths);
        } catch (error) {
          if (!(error instanceof PodsocksError)) throw error;
          expect(error.code).toBe('ERR_ADDRESS');
        }
      }),
    );
  });

  it('have a header of at most PACKET_HEADER_MAX_BYTES, and at most 65535 bytes of data', () => {
    const out = new Uint8Array(PACKET_HEADER_MAX_BYTES);
    expect(encodePacketHeader(out, 0, LONGEST, 0xffff)).toBe(PACKET_HEADER_MAX_BYTES);
    expect(() => encodePacketHeader(out, 1, LONGEST, 0)).toThrow(RangeError);
    expect(() => encodePacketHeader(out, out.length - 1, undefined, 0)).toThrow(RangeError);
    const tooLong = expect.objectContaining({ name: 'PodsocksError', code: 'ERR_LIMIT' });
    expect(() => encodePacketHeader(out, 0, undefined, 0x10000)).toThrow(tooLong);
  });
});
