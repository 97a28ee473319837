import type { Accepted, RequestOpener } from '@podsocks/shared/crypto/stream';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { v2, v2Checked } from './header-fixtures.ts';
import { ProxiedOpener } from './proxied-opener.ts';

const PEER = { address: '10.0.0.1', port: 999 };
const ACCEPTED = {} as Accepted;

/** Hands on what it gets, and accepts at the fifth byte. */
class Plain implements RequestOpener {
  came = 0;
  isClosed = false;
  get accepted(): Accepted | undefined {
    return this.came >= 5 ? ACCEPTED : undefined;
  }
  openedLength(length: number): number {
    return length;
  }
  open(out: Uint8Array, outAt: number, input: Uint8Array, inputAt: number, length: number): number {
    out.set(input.subarray(inputAt, inputAt + length), outAt);
    this.came += length;
    return length;
  }
  end(): void {}
  close(): void {
    this.isClosed = true;
  }
}

function opened() {
  const plain = new Plain();
  const asked: string[] = [];
  const opener = new ProxiedOpener(PEER, address => {
    asked.push(address);
    return plain;
  });
  const feed = (bytes: Uint8Array) => {
    // As a connection does: the input is in the middle of something, and another's when the call is over.
    const input = Buffer.concat([Buffer.from('###'), bytes, Buffer.from('###')]);
    const out = Buffer.alloc(opener.openedLength(bytes.length) + 2);
    const length = opener.open(out, 2, input, 3, bytes.length);
    input.fill('#');
    return out.subarray(2, 2 + length).toString();
  };
  return { opener, plain, asked, feed };
}

const HEADERS: readonly Buffer[] = [
  v2(),
  v2Checked(),
  Buffer.from('PROXY TCP4 192.0.2.7 198.51.100.1 56324 8388\r\n'),
  Buffer.from('PROXY TCP6 ::ffff:192.0.2.7 ::1 56324 8388\r\n'),
];

describe('a request behind a header', () => {
  it('is opened in any split, for the client that the header names', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...HEADERS),
        fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 60 }),
        (header, lengths) => {
          const { opener, asked, feed } = opened();
          const wire = Buffer.concat([header, Buffer.from('hello, world')]);
          let plaintext = '';
          let at = 0;
          for (let i = 0; at < wire.length; i++) {
            const length = Math.min(lengths[i % lengths.length]!, wire.length - at);
            plaintext += feed(wire.subarray(at, at + length));
            at += length;
          }
          expect(plaintext).toBe('hello, world');
          expect(opener.client).toEqual({ address: '192.0.2.7', port: 56_324 });
          expect(asked).toEqual(['192.0.2.7']);
          expect(opener.accepted).toBe(ACCEPTED);
        },
      ),
    );
  });

  it.each([
    ['v1', Buffer.from('PROXY UNKNOWN\r\n')],
    ['v2', v2({ versionAndCommand: 0x20, family: 0, addresses: '' })],
  ])('of %s that names nobody is that of the other end of the socket', (_, header) => {
    const { opener, asked, feed } = opened();
    expect(feed(Buffer.concat([header, Buffer.from('hello')]))).toBe('hello');
    expect(opener.client).toEqual(PEER);
    expect(asked).toEqual([PEER.address]);
  });

  it('is nothing before the header is complete', () => {
    const { opener, asked, feed } = opened();
    expect(feed(v2().subarray(0, -1))).toBe('');
    expect([opener.accepted, asked, opener.client]).toEqual([undefined, [], PEER]);
    opener.end();
    opener.close();
  });

  it('is refused with its header, in any split', () => {
    const wire = Buffer.from('PROXY TCP4 192.0.2.7 198.51.100.1 56324 99999\r\n');
    for (let cut = 1; cut < wire.length; cut++) {
      const { feed, asked } = opened();
      expect(feed(wire.subarray(0, cut))).toBe('');
      expect(() => feed(wire.subarray(cut))).toThrow(PodsocksError);
      expect(asked).toEqual([]);
    }
  });

  it('has its opener closed with it', () => {
    const { opener, plain, feed } = opened();
    feed(v2());
    opener.close();
    expect(plain.isClosed).toBe(true);
  });
});
