import { a, cname, reply, soa } from '@podsocks/shared/dns/fake-dns-fixtures';
import { MalformedMessage } from '@podsocks/shared/dns/record-walk';
import * as dnsPacket from 'dns-packet';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { queryBytes, queryFor, read } from './dns-fixtures.ts';
import { answerFor, type RawAnswer, readAnswer } from './raw-answer.ts';
import { encodeForwarded } from './reply.ts';

const WEB = 'web.default';
const query = queryFor(WEB, { id: 1 });
const sent = encodeForwarded(query, 0x1234, { withEdns: true });
const asked = { id: 0x1234, name: WEB, type: 'A' };

const answered = (message: Buffer): RawAnswer => {
  const answer = readAnswer(message, sent, query);
  if (typeof answer === 'string' || answer instanceof MalformedMessage) throw new Error(`is ${answer}`);
  return answer;
};

const withOpt = (message: Buffer, extendedRcode = 0): Buffer => {
  const changed = Buffer.concat([message, Buffer.from('00002904d00000000000' + '04000a0000', 'hex')]);
  changed[message.length + 5] = extendedRcode;
  changed.writeUInt16BE(changed.readUInt16BE(10) + 1, 10);
  return changed;
};

it('a query goes on with what its client wants, and EDNS0 of our own', () => {
  const wanted = queryFor('WeB', { flags: 0x0130, payloadBytes: 4096, wantsDnssec: true });
  expect(encodeForwarded(wanted, 0xabcd, { withEdns: true }).toString('hex')).toBe(
    'abcd 0130 0001 0000 0000 0001 03576542 00 0001 0001 00 0029 04d0 0000 8000 0000'.replaceAll(' ', ''),
  );
  expect(encodeForwarded(wanted, 0xabcd, { withEdns: false })).toHaveLength(12 + 5 + 4);
});

describe('how long it is remembered', () => {
  it.each<[string, Parameters<typeof reply>[1], number]>([
    ['an answer: the least TTL', { answers: [a(WEB, '10.0.0.1', 30), a(WEB, '10.0.0.2', 7)] }, 7],
    ['of an alias, too', { answers: [cname(WEB, 'x', 3), a('x', '10.0.0.2', 7)] }, 3],
    ['five minutes at most', { answers: [a(WEB, '10.0.0.1', 86_400)] }, 300],
    ['not at all with 0', { answers: [a(WEB, '10.0.0.1', 0)] }, 0],
    ['nor with the highest bit', { answers: [a(WEB, '10.0.0.1', 0x80000001)] }, 0],
    ['NXDOMAIN: as SOA says', { authorities: [soa({ ttl: 30, minimum: 5 })], rcode: 3 }, 5],
    ['or its own TTL', { authorities: [soa({ ttl: 4, minimum: 5 })], rcode: 3 }, 4],
    ['half a minute at most', { authorities: [soa({ ttl: 3600, minimum: 3600 })] }, 30],
    ['an alias of nothing: no longer than the alias', { answers: [cname(WEB, 'x', 3)], authorities: [soa()] }, 3],
    ['without SOA not at all', { rcode: 3 }, 0],
    ['nor no records', {}, 0],
    ['SERVFAIL a second', { rcode: 2 }, 1],
    ['REFUSED, too', { rcode: 5, authorities: [soa()] }, 1],
  ])('%s', (_, says, ttl) => {
    expect(answered(reply(asked, says)).ttl).toBe(ttl);
  });
});

describe('what is read', () => {
  it('has no OPT, and no part of the RCODE in it', () => {
    const plain = reply(asked, { answers: [a(WEB, '10.0.0.1')] });
    expect(answered(withOpt(plain)).message).toEqual(plain);
    expect(answered(withOpt(plain, 1)).rcode).toBe(16);
  });

  it('is an error without the question', () => {
    const bare = Buffer.from('123481020000000000000000', 'hex');
    const answer = answered(bare);
    expect(answer).toMatchObject({ rcode: 2, ttl: 1 });
    expect(read(answerFor(query, answer, 0, 512))).toMatchObject({ rcode: 'SERVFAIL', id: 1, answers: [] });
  });

  it.each<[string, Buffer]>([
    ['another id', reply({ ...asked, id: 1 })],
    ['another name', reply({ ...asked, name: 'wex.default' })],
    ['another type', reply({ ...asked, type: 'AAAA' })],
    ['a query', sent],
    ['nothing', Buffer.alloc(0)],
    ['NOERROR without the question', Buffer.from('123481000000000000000000', 'hex')],
  ])('of %s is foreign', (_, message) => {
    expect(readAnswer(message, sent, query)).toBe('foreign');
  });

  it('is malformed where a SOA has no numbers', () => {
    const short = { type: 'UNKNOWN_6', name: WEB, ttl: 1, data: Buffer.alloc(2) } as unknown as dnsPacket.Answer;
    const message = reply(asked, { authorities: [short] });
    message.writeUInt16BE(6, message.length - 2 - 2 - 4 - 2 - 2); // dns-packet does not know that type's number
    expect(readAnswer(message, sent, query)).toBeInstanceOf(MalformedMessage);
  });
});

describe('what a client gets', () => {
  const full = reply(asked, {
    answers: Array.from({ length: 10 }, (_, i) => a(WEB, `10.0.0.${i}`, 100 + i)),
    authorities: [soa({ ttl: 50 })],
  });

  it('is the same with its own id and question, and older', () => {
    const mine = queryFor('WEB.default', { id: 9, flags: 0x0110 });
    const answer = read(answerFor(mine, answered(full), 60, 4096));
    expect(answer).toMatchObject({ id: 9, flag_cd: true, flag_tc: false, questions: [{ name: 'WEB.default' }] });
    expect(answer.answers.map(record => (record as { ttl?: number }).ttl)).toEqual([
      40, 41, 42, 43, 44, 45, 46, 47, 48, 49,
    ]);
    expect(answer.authorities).toMatchObject([{ type: 'SOA', ttl: 0 }]);
  });

  it('fits any limit, of whole records, and says TC when an answer is missing', () => {
    const mine = [query, queryFor(WEB, { payloadBytes: 512 })];
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 12 }),
        fc.nat(3),
        fc.nat(3),
        fc.integer({ min: 60, max: 600 }),
        fc.constantFrom(...mine),
        (answers, authorities, additionals, limit, asking) => {
          const message = withOpt(
            dnsPacket.encode({
              type: 'response',
              id: asked.id,
              questions: [{ name: WEB, type: 'A' }],
              answers: Array.from({ length: answers }, () => a(WEB, '10.0.0.1')),
              authorities: Array.from({ length: authorities }, () => soa()),
              additionals: Array.from({ length: additionals }, () => a(WEB, '10.0.0.1')),
            }),
          );
          const bytes = answerFor(asking, answered(message), 0, limit);
          const got = read(bytes);
          expect(bytes.length).toBeLessThanOrEqual(limit);
          const has = [got.answers.length, got.authorities.length, got.additionals!.length - (asking.edns ? 1 : 0)];
          expect(has[0]! + has[1]! + has[2]!).toBeLessThanOrEqual(answers + authorities + additionals);
          const needed = answers > 0 ? answers : authorities;
          expect(got.flag_tc).toBe(has[0]! + has[1]! < needed || (answers > 0 && has[0]! < answers));
          if (bytes.length === limit || limit === 600) return;
          // As many as fit, in their order.
          if (has[1]! > 0) expect(has[0]).toBe(answers);
          if (has[2]! > 0) expect(has[1]).toBe(authorities);
        },
      ),
    );
  });

  it('can be read whatever bits were flipped on the way', () => {
    const message = withOpt(full);
    fc.assert(
      fc.property(
        fc.array(fc.nat(message.length * 8 - 1), { minLength: 1, maxLength: 4 }),
        fc.integer({ min: 60, max: 600 }),
        (flips, limit) => {
          const changed = Buffer.from(message);
          for (const bit of flips) changed[bit >> 3]! ^= 1 << (bit & 7);
          const answer = readAnswer(changed, sent, query);
          if (typeof answer === 'string' || answer instanceof MalformedMessage) return;
          const bytes = answerFor(query, answer, 7, limit);
          expect(bytes.length).toBeLessThanOrEqual(limit);
          expect(bytes.subarray(12, 12 + query.question.length)).toEqual(queryBytes(WEB).subarray(12));
        },
      ),
      { numRuns: 1000 },
    );
  });
});
