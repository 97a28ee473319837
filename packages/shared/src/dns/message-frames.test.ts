import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { framed, MessageFrames } from './message-frames.ts';

const messages = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 8 });

describe('messages in a stream', () => {
  it('come out as they went in, however it is cut', () => {
    fc.assert(
      fc.property(messages, fc.array(fc.nat(400)), (given, cuts) => {
        const stream = Buffer.concat(given.map(framed));
        const frames = new MessageFrames(300);
        const taken: Buffer[] = [];
        let at = 0;
        for (const cut of [...cuts, stream.length]) {
          taken.push(...frames.take(stream.subarray(at, at + cut))!);
          at = Math.min(at + cut, stream.length);
        }
        expect(taken.map(message => message.toString('hex'))).toEqual(
          given.map(message => Buffer.from(message).toString('hex')),
        );
      }),
    );
  });

  it('come out byte by byte', () => {
    const frames = new MessageFrames(0xffff);
    const taken = [...framed(Buffer.alloc(0xffff, 7))].flatMap(byte => frames.take(Buffer.of(byte))!);
    expect(taken).toEqual([Buffer.alloc(0xffff, 7)]);
  });

  it('that are too long are refused when their length is known', () => {
    const frames = new MessageFrames(10);
    expect(frames.take(Buffer.of(0))).toEqual([]);
    expect(frames.take(Buffer.of(11))).toBeUndefined();
    expect(new MessageFrames(10).take(framed(Buffer.alloc(10)))).toHaveLength(1);
  });
});
