import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { targetOf } from '../wire/address.ts';
import { ALICE, BOB, connect, feed, flight, keyringFor, METHOD_CASES, sealAll, splits } from './stream-fixtures.ts';

/** Bytes that look random but come again; fast-check would make each one an arbitrary of its own. */
function garbage(length: number, seed: number): Uint8Array {
  let state = seed | 1;
  return Uint8Array.from({ length }, () => {
    state = Math.imul(state, 1664525) + 1013904223;
    return state >>> 24;
  });
}

const TARGET = targetOf('web.default.svc.cluster.local', 8080);

describe.each(METHOD_CASES)('$name', testCase => {
  const payload = (length: number) => Uint8Array.from({ length }, (_, index) => index * 7);

  it('carries a request and a response, whatever the split', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(testCase.slow ? 600 : 40_000), { minLength: 1, maxLength: 4 }),
        fc.array(fc.nat(), { maxLength: 12 }),
        (lengths, cuts) => {
          const { sealer, opener, respond, openResponse } = connect(testCase, TARGET);
          const sent = lengths.map(payload);
          const wire = sealAll(sealer, sent);
          expect(feed(opener, splits(wire, cuts)).equals(Buffer.concat(sent))).toBe(true);
          expect(opener.accepted?.request).toMatchObject({ target: TARGET, user: { name: 'default' } });
          opener.end();

          const answer = openResponse();
          expect(feed(answer, splits(sealAll(respond(), sent), cuts)).equals(Buffer.concat(sent))).toBe(true);
          answer.end();
        },
      ),
      { numRuns: testCase.slow ? 15 : 40 },
    );
  });

  it('carries both byte by byte', () => {
    const { sealer, opener, respond, openResponse } = connect(testCase, TARGET);
    const wire = sealAll(sealer, [payload(100), payload(3)]);
    expect(feed(opener, splits(wire, [...wire.keys()]))).toEqual(Buffer.concat([payload(100), payload(3)]));
    const answer = sealAll(respond(), [payload(5)]);
    expect(feed(openResponse(), splits(answer, [...answer.keys()]))).toEqual(Buffer.from(payload(5)));
  });

  it('asks for a connect status, whatever the split, with and without payload', () => {
    for (const length of [0, 100]) {
      const plain = connect(testCase, TARGET);
      const asking = connect(testCase, TARGET, { wantsStatus: true });
      const sealed = sealAll(asking.sealer, [payload(length)]);
      expect(feed(asking.opener, splits(sealed, [...sealed.keys()]))).toEqual(Buffer.from(payload(length)));
      expect(asking.opener.accepted?.request).toMatchObject({ target: TARGET, wantsStatus: true });
      feed(plain.opener, [sealAll(plain.sealer, [payload(length)])]);
      expect(plain.opener.accepted?.request).toMatchObject({ target: TARGET, wantsStatus: false });
    }
  });

  it('writes never more than it said', () => {
    const { sealer, respond } = connect(testCase, TARGET);
    const most = testCase.slow ? 20_000 : 200_000;
    for (const stream of [sealer, respond()]) {
      for (const length of [0, 1, 0x3fff, 0x4000, 0xffff, 0x10000, most].filter(candidate => candidate <= most)) {
        const out = new Uint8Array(stream.sealedLength(length));
        expect(stream.seal(out, 0, payload(length), 0, length)).toBeLessThanOrEqual(out.length);
      }
    }
  });

  it('sends the header alone when there is no payload yet, and nothing for an empty response', () => {
    const { sealer, opener, respond, openResponse } = connect(testCase, TARGET);
    const wire = sealAll(sealer, [new Uint8Array(0)]);
    expect(feed(opener, [wire])).toEqual(Buffer.alloc(0));
    expect(opener.accepted?.request.target).toEqual(TARGET);
    expect(sealAll(respond(), [new Uint8Array(0)])).toHaveLength(0);
    openResponse().end();
  });

  it('refuses every flipped bit of a first flight, and nothing of it comes out', () => {
    const wire = flight(testCase, TARGET, payload(20));
    for (let bit = 0; bit < wire.length * 8; bit += testCase.slow ? 5 : 1) {
      const altered = Uint8Array.from(wire);
      altered[bit >> 3]! ^= 1 << (bit & 7);
      const { opener } = connect(testCase, TARGET);
      // A length that was made larger would wait for more; no length can be altered unnoticed.
      expect(() => feed(opener, [altered])).toThrow(expect.objectContaining({ code: 'ERR_AUTHENTICATION' }));
      expect(opener.accepted?.request).toBeUndefined();
    }
  });

  it('refuses every flipped bit of a response', () => {
    const { respond, openResponse } = connect(testCase, TARGET);
    const wire = sealAll(respond(), [payload(20)]);
    for (let bit = 0; bit < wire.length * 8; bit += testCase.slow ? 5 : 1) {
      const altered = Uint8Array.from(wire);
      altered[bit >> 3]! ^= 1 << (bit & 7);
      expect(() => feed(openResponse(), [altered])).toThrow(expect.objectContaining({ name: 'PodsocksError' }));
    }
  });

  it('calls every truncation one, unless it falls between chunks', () => {
    const { sealer, respond } = connect(testCase, TARGET);
    const head = sealAll(sealer, [payload(20)]);
    const wire = Buffer.concat([head, sealAll(sealer, [payload(4)])]);
    for (let length = 0; length < wire.length; length++) {
      const { opener } = connect(testCase, TARGET);
      feed(opener, [wire.subarray(0, length)]);
      if (length === head.length) opener.end();
      else expect(() => opener.end()).toThrow(expect.objectContaining({ code: 'ERR_TRUNCATED' }));
    }
    const answerLength = sealAll(respond(), [payload(20)]).length;
    for (let length = 1; length < answerLength; length++) {
      const pair = connect(testCase, TARGET);
      const opener = pair.openResponse();
      feed(opener, [sealAll(pair.respond(), [payload(20)]).subarray(0, length)]);
      expect(() => opener.end()).toThrow(expect.objectContaining({ code: 'ERR_TRUNCATED' }));
    }
  });

  it('throws nothing but our error for garbage, and holds no more of it than one chunk', () => {
    fc.assert(
      fc.property(fc.nat(100_000), fc.nat(), fc.array(fc.nat(), { maxLength: 5 }), (length, seed, cuts) => {
        const bytes = garbage(length, seed);
        for (const opener of [connect(testCase, TARGET).opener, connect(testCase, TARGET).openResponse()]) {
          try {
            feed(opener, splits(bytes, cuts));
            expect(opener.openedLength(0)).toBeLessThan(200);
          } catch (error) {
            expect(error).toMatchObject({ name: 'PodsocksError' });
          }
        }
      }),
      { numRuns: 20 },
    );
  });

  it('refuses a flight that it has seen, and its own bytes sent back to it', () => {
    const { server, sealer, respond } = connect(testCase, TARGET);
    const wire = sealAll(sealer, [payload(20)]);
    feed(server.openRequest(keyringFor(testCase), '192.0.2.1'), [wire]);
    const replayed = server.openRequest(keyringFor(testCase), '192.0.2.2');
    expect(() => feed(replayed, [wire])).toThrow(expect.objectContaining({ code: 'ERR_REPLAY' }));

    const reflected = server.openRequest(keyringFor(testCase), '192.0.2.1');
    expect(() => feed(reflected, [sealAll(respond(), [payload(200)])])).toThrow(
      expect.objectContaining({ name: 'PodsocksError' }),
    );
    expect(reflected.accepted?.request).toBeUndefined();
  });

  it('refuses a response that was given before', () => {
    const { respond, openResponse } = connect(testCase, TARGET);
    const wire = sealAll(respond(), [payload(20)]);
    expect(feed(openResponse(), [wire])).toEqual(Buffer.from(payload(20)));
    const again = openResponse();
    if (testCase.method.generation === 'sip022')
      feed(again, [wire]); // it repeats the salt of this very request
    else expect(() => feed(again, [wire])).toThrow(expect.objectContaining({ code: 'ERR_REPLAY' }));
  });

  it("refuses the client's own bytes as a response", () => {
    const { sealer, openResponse } = connect(testCase, TARGET);
    const wire = sealAll(sealer, [payload(200)]);
    expect(() => feed(openResponse(), [wire])).toThrow(expect.objectContaining({ name: 'PodsocksError' }));
  });
});

describe.each(METHOD_CASES.filter(({ method }) => method.generation === 'sip022'))('$name', testCase => {
  it.each([
    [-31, 'ERR_TIMESTAMP', '31 s behind'],
    [31, 'ERR_TIMESTAMP', '31 s ahead of'],
  ])('refuses a clock that is %i s away, in words', (offset, code, words) => {
    const { sealer, opener } = connect(testCase, TARGET, { clientOffset: offset });
    const open = () => feed(opener, [sealAll(sealer, [Uint8Array.of(1)])]);
    expect(open).toThrow(expect.objectContaining({ code, message: expect.stringContaining(words) }));
  });

  it.each([-30, 30])('takes a clock that is %i s away', offset => {
    const { sealer, opener } = connect(testCase, TARGET, { clientOffset: offset });
    feed(opener, [sealAll(sealer, [Uint8Array.of(1)])]);
    expect(opener.accepted?.request).toBeDefined();
  });

  it('does not remember the salt of a request whose time is wrong', () => {
    const { server, sealer } = connect(testCase, TARGET, { clientOffset: 31 });
    const wire = sealAll(sealer, [Uint8Array.of(1)]);
    for (let attempt = 0; attempt < 2; attempt++) {
      expect(() => feed(server.openRequest(keyringFor(testCase), ''), [wire])).toThrow(
        expect.objectContaining({ code: 'ERR_TIMESTAMP' }),
      );
    }
  });

  it('refuses the response to another request', () => {
    const first = connect(testCase, TARGET);
    const second = connect(testCase, TARGET);
    const wire = sealAll(first.respond(), [Uint8Array.of(1)]);
    expect(() => feed(second.openResponse(), [wire])).toThrow(expect.objectContaining({ code: 'ERR_REPLAY' }));
  });

  it('pads a request without payload by a length that varies', () => {
    const lengths = new Set(Array.from({ length: 20 }, () => flight(testCase, TARGET, new Uint8Array(0)).length));
    expect(lengths.size).toBeGreaterThan(10);
  });
});

describe('SIP023 identity headers', () => {
  const cases = METHOD_CASES.filter(({ method }) => method.identityHeaders);

  it.each(cases)('name the user under $name', testCase => {
    for (const user of [ALICE, BOB]) {
      const { sealer, opener, respond, openResponse } = connect(testCase, TARGET, { user });
      const wire = sealAll(sealer, [Uint8Array.of(1, 2)]);
      expect(feed(opener, splits(wire, [...wire.keys()]))).toEqual(Buffer.of(1, 2));
      expect(opener.accepted?.request.user.name).toBe(user);
      expect(feed(openResponse(), [sealAll(respond(), [Uint8Array.of(3)])])).toEqual(Buffer.of(3));
    }
  });

  it.each(cases)('of nobody are refused under $name', testCase => {
    const { sealer, opener } = connect(testCase, TARGET, { user: 'mallory' });
    expect(() => feed(opener, [sealAll(sealer, [Uint8Array.of(1)])])).toThrow(
      expect.objectContaining({ code: 'ERR_AUTHENTICATION' }),
    );
  });
});

describe('several passwords under SIP004', () => {
  it('are tried until one opens', () => {
    const testCase = METHOD_CASES.find(({ name }) => name === 'aes-128-gcm')!;
    const { sealer, opener } = connect(testCase, TARGET, { user: BOB });
    feed(opener, [sealAll(sealer, [Uint8Array.of(1)])]);
    expect(opener.accepted?.request.user.name).toBe(BOB);
  });
});
