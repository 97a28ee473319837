import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ADDRESS_MAX_BYTES, targetOf } from '../wire/address.ts';
import { MAX_PADDING_BYTES } from '../wire/sip022-header.ts';
import { MAX_DATAGRAM_BYTES } from './datagram.ts';
import { CLIENT, DATAGRAM_CASES, type Ends, endsOf, openAtClient, openAtServer, sealOne } from './datagram-fixtures.ts';
import { padNames } from './datagrams.ts';

const TARGET = targetOf('kube-dns.kube-system.svc.cluster.local', 5353);
const ORIGIN = targetOf('2001:db8::35', 53);
const PAYLOAD = Buffer.from('a question');
const ANSWER = Buffer.from('an answer');
const OUR_ERROR = expect.objectContaining({
  name: 'PodsocksError',
  code: expect.stringMatching(/^ERR_(TRUNCATED|AUTHENTICATION|HEADER|TIMESTAMP|ADDRESS|REPLAY)$/),
});

const ONE = { names: ['default'] };
const SEVERAL = { names: ['alice', 'bob'] };

/** What the server remembers, as far as it can be asked. */
function remembered({ serverServices, keyring }: Ends) {
  return { salts: serverServices.salts, matches: keyring.matches.length };
}

function flipped(datagram: Uint8Array, bit: number): Uint8Array {
  const altered = Uint8Array.from(datagram);
  altered[bit >> 3]! ^= 1 << (bit & 7);
  return altered;
}

describe.each(DATAGRAM_CASES)('$name', testCase => {
  /** SIP022 has users by identity headers only. */
  const several = testCase.method.generation === 'sip004' || testCase.method.identityHeaders;
  const slow = testCase.choice === 'noble' || testCase.method.aead === 'xchacha20-poly1305';

  it.each(several ? [ONE, SEVERAL] : [ONE])('carries datagrams there and back for $names', ({ names: users }) => {
    const { client, server } = endsOf(testCase, users);
    const lengths = fc.array(fc.nat(slow ? 2000 : 9000), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(lengths, all => {
        for (const length of all) {
          const sent = Buffer.alloc(length, length);
          const request = openAtServer(server, sealOne(client, TARGET, sent));
          expect(request.payload.equals(sent)).toBe(true);
          expect(request.opened.target).toEqual(TARGET);
          expect(request.opened.user.name).toBe(users.at(-1));
          const session = request.opened.commit();
          const reply = openAtClient(client, sealOne(session, ORIGIN, sent));
          expect(reply.payload.equals(sent)).toBe(true);
          expect(reply.opened.target).toEqual(ORIGIN);
          reply.opened.commit();
        }
      }),
      { numRuns: slow ? 10 : 25 },
    );
  });

  it('makes the first committed packet a session, and finds it again', () => {
    const { client, server, begin } = endsOf(testCase);
    const first = openAtServer(server, sealOne(client, TARGET, PAYLOAD)).opened;
    expect(first.session).toBeUndefined();
    expect(openAtServer(server, sealOne(client, TARGET, PAYLOAD)).opened.session).toBeUndefined(); // not committed yet
    const session = first.commit();
    const second = openAtServer(server, sealOne(client, TARGET, PAYLOAD)).opened;
    expect(second.session).toBe(session);
    expect(second.commit()).toBe(session);

    const other = openAtServer(server, sealOne(begin(), TARGET, PAYLOAD), { ...CLIENT, port: 1 }).opened;
    expect(other.session).toBeUndefined();
    expect(other.commit()).not.toBe(session);

    session.close();
    expect(openAtServer(server, sealOne(client, TARGET, PAYLOAD)).opened.session).toBeUndefined();
  });

  it('refuses a packet that was committed, however often it was only opened', () => {
    const { client, server } = endsOf(testCase);
    const wire = sealOne(client, TARGET, PAYLOAD);
    const opened = [1, 2, 3].map(() => openAtServer(server, wire).opened);
    const session = opened[0]!.commit();
    for (const again of opened) expect(() => again.commit()).toThrow(expect.objectContaining({ code: 'ERR_REPLAY' }));
    expect(() => openAtServer(server, wire).opened.commit()).toThrow(expect.objectContaining({ code: 'ERR_REPLAY' }));

    const answer = sealOne(session, ORIGIN, ANSWER);
    const replies = [1, 2].map(() => openAtClient(client, answer).opened);
    replies[0]!.commit();
    expect(() => replies[1]!.commit()).toThrow(expect.objectContaining({ code: 'ERR_REPLAY' }));
    expect(() => openAtClient(client, answer).opened.commit()).toThrow(expect.objectContaining({ code: 'ERR_REPLAY' }));
  });

  it('refuses what is given back to its sender', () => {
    const { client, server } = endsOf(testCase);
    const request = sealOne(client, TARGET, PAYLOAD);
    const reply = sealOne(openAtServer(server, request).opened.commit(), ORIGIN, ANSWER);
    expect(() => openAtClient(client, request).opened.commit()).toThrow(OUR_ERROR);
    expect(() => openAtServer(server, reply).opened.commit()).toThrow(OUR_ERROR);
  });

  it.each(['first', 'second'])(
    'refuses every flipped bit and every truncation of a %s packet; nothing changes',
    which => {
      const ends = endsOf(testCase, (several ? SEVERAL : ONE).names);
      const { client, server } = ends;
      if (which === 'second') openAtServer(server, sealOne(client, TARGET, PAYLOAD)).opened.commit();
      const wire = sealOne(client, TARGET, PAYLOAD);
      const before = remembered(ends);
      for (let bit = 0; bit < wire.length * 8; bit += slow ? 3 : 1) {
        expect(() => openAtServer(server, flipped(wire, bit))).toThrow(OUR_ERROR);
      }
      for (let length = 0; length < wire.length; length++) {
        expect(() => openAtServer(server, wire.subarray(0, length))).toThrow(OUR_ERROR);
      }
      expect(() => openAtServer(server, Buffer.concat([wire, Buffer.alloc(1)]))).toThrow(OUR_ERROR);
      expect(remembered(ends)).toEqual(before);
      const { opened, payload } = openAtServer(server, wire);
      expect(payload).toEqual(PAYLOAD);
      expect(opened.session === undefined).toBe(which === 'first');

      const session = opened.commit();
      const answer = sealOne(session, ORIGIN, ANSWER);
      const salts = ends.clientServices.salts;
      for (let bit = 0; bit < answer.length * 8; bit += slow ? 3 : 1) {
        expect(() => openAtClient(client, flipped(answer, bit))).toThrow(OUR_ERROR);
      }
      for (let length = 0; length < answer.length; length++) {
        expect(() => openAtClient(client, answer.subarray(0, length))).toThrow(OUR_ERROR);
      }
      expect(ends.clientServices.salts).toBe(salts);
      openAtClient(client, answer).opened.commit();
    },
  );

  it('throws nothing but our error for garbage', () => {
    const ends = endsOf(testCase, (several ? SEVERAL : ONE).names);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), garbage => {
        expect(() => openAtServer(ends.server, garbage)).toThrow(OUR_ERROR);
        expect(() => openAtClient(ends.client, garbage)).toThrow(OUR_ERROR);
      }),
      { numRuns: slow ? 100 : 300 },
    );
    expect(remembered(ends)).toEqual({ salts: 0, matches: 0 });
  });

  it('seals up to the longest datagram that IPv4 carries, and refuses more without harm', () => {
    const { client, server } = endsOf(testCase);
    const overhead = sealOne(client, TARGET, PAYLOAD).length - PAYLOAD.length;
    const longest = Buffer.alloc(MAX_DATAGRAM_BYTES - overhead, 7);
    for (const length of [longest.length + 1, 65_507, 65_536, 1_000_000]) {
      expect(() => sealOne(client, TARGET, Buffer.alloc(length))).toThrow(
        expect.objectContaining({ code: 'ERR_LIMIT' }),
      );
    }
    const wire = sealOne(client, TARGET, longest);
    expect(wire).toHaveLength(65_507);
    const { opened, payload } = openAtServer(server, wire);
    expect(payload.equals(longest)).toBe(true);
    const answer = openAtClient(client, sealOne(opened.commit(), targetOf('1.2.3.4', 5), longest.subarray(9)));
    expect(answer.payload.equals(longest.subarray(9))).toBe(true);
  });

  it('refuses a target that cannot be written, without harm', () => {
    const { client, server } = endsOf(testCase);
    expect(() => sealOne(client, { type: 'name', host: '', port: 1 }, PAYLOAD)).toThrow(
      expect.objectContaining({ code: 'ERR_ADDRESS' }),
    );
    expect(openAtServer(server, sealOne(client, TARGET, PAYLOAD)).payload).toEqual(PAYLOAD);
  });

  it('says how long a datagram can become', () => {
    const { client, clientServices } = endsOf(testCase);
    Object.assign(clientServices, { padding: () => new Uint8Array(MAX_PADDING_BYTES) });
    const longName = targetOf('n'.repeat(255), 65_535);
    for (const length of [0, 1, 1400]) {
      const bound = client.sealedLength(length);
      expect(sealOne(client, longName, Buffer.alloc(length)).length).toBeLessThanOrEqual(bound);
      expect(bound - length).toBeLessThan(ADDRESS_MAX_BYTES + MAX_PADDING_BYTES + 100);
    }
    expect(client.sealedLength(65_507)).toBe(MAX_DATAGRAM_BYTES);
  });
});

describe('padding', () => {
  it('goes to name servers only, and not beyond 900 bytes with the payload', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 2, maxLength: 2 }), fc.nat(1200), (drawn, length) => {
        const padding = padNames(() => drawn);
        expect(padding(targetOf('10.0.0.1', 443), length)).toHaveLength(0);
        const added = padding(targetOf('10.0.0.10', 53), length);
        if (length >= MAX_PADDING_BYTES) expect(added).toHaveLength(0);
        else {
          expect(added.length).toBeGreaterThanOrEqual(1);
          expect(length + added.length).toBeLessThanOrEqual(MAX_PADDING_BYTES);
          expect(added.every(byte => byte === 0)).toBe(true);
        }
      }),
    );
  });
});
