import { a, cname, reply, soa } from '@podsocks/shared/dns/fake-dns-fixtures';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { followChain } from './answer-chain.ts';
import { type DnsAnswer, decodeAnswer, encodeQuery, MalformedMessage } from './message.ts';

const ID = 0x1234;
const query = encodeQuery({ name: 'web.default', type: 'A' }, ID, { edns: true });
const asked = { id: ID, name: 'web.default', type: 'A' };
const QUESTION_END = 12 + 13 + 4;

const answered = (message: Buffer): DnsAnswer => {
  const answer = decodeAnswer(message, query);
  if (typeof answer === 'string' || answer instanceof MalformedMessage) throw new Error(`is ${answer}`);
  return answer;
};

/** A message with records of the test's own making behind the question. */
const raw = (records: readonly Buffer[], count = records.length): Buffer => {
  const message = Buffer.concat([reply(asked), ...records]);
  message.writeUInt16BE(count, 6);
  return message;
};

const record = (name: Buffer, type: number, data: Buffer, { length = data.length, ttl = 5 } = {}): Buffer => {
  const fields = Buffer.alloc(10);
  fields.writeUInt16BE(type, 0);
  fields.writeUInt16BE(1, 2);
  fields.writeUInt32BE(ttl, 4);
  fields.writeUInt16BE(length, 8);
  return Buffer.concat([name, fields, data]);
};

const pointer = (to: number): Buffer => Buffer.from([0xc0 | (to >> 8), to & 0xff]);

describe('a query', () => {
  it('wants recursion, and says that it takes 1232 bytes', () => {
    const header = '1234 0100 0001 0000 0000 0001';
    const question = '03 776562 07 64656661756c74 00 0001 0001';
    const opt = '00 0029 04d0 00000000 0000';
    expect(query.bytes.toString('hex')).toBe(`${header}${question}${opt}`.replaceAll(' ', ''));
    expect(encodeQuery(query.question, 1, { edns: false }).bytes).toHaveLength(QUESTION_END);
  });
});

describe('an answer', () => {
  it('is read', () => {
    const { rcode, answers } = answered(reply(asked, { answers: [a('WEB.default', '10.0.0.1', 7)] }));
    expect({ rcode, answers }).toEqual({
      rcode: 0,
      answers: [{ name: 'web.default', type: 'A', ttl: 7, data: '10.0.0.1' }],
    });
  });

  it('may spell the question in another case, with other records and classes in between', () => {
    const chaos = record(pointer(12), 1, Buffer.from([6, 6, 6, 6]));
    chaos.writeUInt16BE(3, 4);
    const message = raw([
      record(pointer(12), 99, Buffer.alloc(9)),
      chaos,
      record(pointer(12), 1, Buffer.from([10, 0, 0, 1])),
    ]);
    message.write('WEB', 13);
    expect(answered(message).answers.map(({ data }) => data)).toEqual(['10.0.0.1']);
  });

  it('has the upper bits of its RCODE in OPT', () => {
    const opt = Buffer.from('0000290200010000000000', 'hex');
    const message = raw([opt], 0);
    message.writeUInt16BE(1, 10);
    expect(answered(message).rcode).toBe(16);
  });

  it('of a server that could not read the query has no question', () => {
    const header = Buffer.from('123480010000000000000000', 'hex');
    for (const rcode of [1, 2, 4, 5]) {
      header[3] = rcode;
      expect(answered(header).rcode).toBe(rcode);
    }
    header[3] = 0;
    expect(decodeAnswer(header, query)).toBe('foreign');
  });
});

describe('foreign', () => {
  const good = () => reply(asked, { answers: [a('web.default', '6.6.6.6')] });

  it.each([
    ['another id', (message: Buffer) => message.writeUInt16BE(ID + 1, 0)],
    ['a query', (message: Buffer) => message.writeUInt8(message[2]! & 0x7f, 2)],
    ['another opcode', (message: Buffer) => message.writeUInt8(message[2]! | 0x28, 2)],
    ['another name', (message: Buffer) => message.write('wex', 13)],
    ['another type', (message: Buffer) => message.writeUInt8(28, QUESTION_END - 3)],
    ['another class', (message: Buffer) => message.writeUInt8(3, QUESTION_END - 1)],
    ['no question', (message: Buffer) => message.writeUInt16BE(0, 4)],
    ['two questions', (message: Buffer) => message.writeUInt16BE(2, 4)],
  ])('%s', (_, change) => {
    const message = good();
    change(message);
    expect(decodeAnswer(message, query)).toBe('foreign');
  });

  it('any bit of id and question, and any cut inside them', () => {
    for (let bit = 0; bit < QUESTION_END * 8; bit++) {
      const [byte, isFlags] = [bit >> 3, bit >> 3 >= 2 && bit >> 3 < 4];
      const isCount = byte >= 6 && byte < 12;
      const isCase = byte > 12 && byte < QUESTION_END - 4 && 0x80 >> (bit & 7) === 0x20 && byte !== 16;
      if (isFlags || isCount || isCase) continue;
      const message = good();
      message[byte]! ^= 0x80 >> (bit & 7);
      expect(decodeAnswer(message, query), `bit ${bit}`).toBe('foreign');
    }
    for (let length = 0; length < QUESTION_END; length++) {
      expect(decodeAnswer(good().subarray(0, length), query)).toBe('foreign');
    }
  });
});

describe('malformed', () => {
  const self = pointer(QUESTION_END);
  const there = pointer(QUESTION_END + 2);

  it.each([
    ['a name that points to itself', [record(self, 1, Buffer.alloc(4))]],
    ['a name that points ahead', [record(there, 1, Buffer.alloc(4))]],
    ['a name that points out of the message', [record(pointer(0x3fff), 1, Buffer.alloc(4))]],
    ['an alias that points to itself', [record(pointer(12), 5, pointer(QUESTION_END + 12))]],
    ['a label of a reserved kind', [record(Buffer.from([0x80, 0]), 1, Buffer.alloc(4))]],
    ['an IPv4 address of 3 bytes', [record(pointer(12), 1, Buffer.alloc(3))]],
    ['an IPv4 address of 16 bytes', [record(pointer(12), 1, Buffer.alloc(16))]],
    ['an IPv6 address of 4 bytes', [record(pointer(12), 28, Buffer.alloc(4))]],
    ['unknown data behind the end', [record(pointer(12), 99, Buffer.alloc(4), { length: 5 })]],
    ['data behind the end', [record(pointer(12), 1, Buffer.alloc(4), { length: 400 })]],
    ['an alias longer than its data', [record(pointer(12), 5, Buffer.from('\x03abc\0'), { length: 3 })]],
  ])('%s', (_, records) => {
    expect(decodeAnswer(raw(records), query)).toBeInstanceOf(MalformedMessage);
  });

  it('fewer records than it counts, or cut anywhere', () => {
    expect(decodeAnswer(raw([], 0xffff), query)).toBeInstanceOf(MalformedMessage);
    const whole = reply(asked, { answers: [cname('web.default', 'db'), a('db', '10.0.0.1')], authorities: [soa()] });
    for (let length = QUESTION_END; length < whole.length; length++) {
      expect(decodeAnswer(whole.subarray(0, length), query)).toBeInstanceOf(MalformedMessage);
    }
  });

  it('chains of pointers are not followed for long, however many names have them', () => {
    const chain = Buffer.alloc(16_000);
    const chainAt = QUESTION_END + 12;
    for (let at = 0; at < chain.length; at += 2) pointer(at === 0 ? 12 : chainAt + at - 2).copy(chain, at);
    const name = pointer(chainAt + chain.length - 2);
    const records = Array.from({ length: 3000 }, () => record(name, 1, Buffer.from([6, 6, 6, 6])));
    expect(decodeAnswer(raw([record(pointer(12), 10, chain), ...records]), query)).toBeInstanceOf(MalformedMessage);
  });

  it('nor are many long names; 4000 addresses are fine', () => {
    const labels: Buffer[] = [];
    for (let i = 0; i < 100; i++) {
      labels.push(Buffer.from('\x01a'), pointer(i === 0 ? 12 : QUESTION_END + 12 + 4 * (i - 1)));
    }
    const last = pointer(QUESTION_END + 12 + 4 * 99);
    const names = Array.from({ length: 4000 }, () => record(last, 5, last));
    const message = raw([record(pointer(12), 10, Buffer.concat(labels)), ...names]);
    expect(decodeAnswer(message, query)).toBeInstanceOf(MalformedMessage);
    const addresses = Array.from({ length: 4000 }, (_, i) =>
      record(pointer(12), 1, Buffer.from([10, 0, i >> 8, i & 255])),
    );
    expect(answered(raw(addresses)).answers).toHaveLength(4000);
  });
});

describe('any bytes', () => {
  const sane = (message: Buffer) => {
    const answer = decodeAnswer(message, query);
    if (typeof answer === 'string' || answer instanceof MalformedMessage) return;
    const end = followChain(answer, 'web.default', 'A');
    if (end.kind !== 'found') return;
    for (const { data } of end.records) expect(data).toMatch(/^\d+\.\d+\.\d+\.\d+$/);
  };

  it('behind a good question do no harm', () => {
    const message = fc.tuple(fc.uint8Array({ maxLength: 300 }), fc.array(fc.nat(5), { minLength: 3, maxLength: 3 }));
    fc.assert(
      fc.property(message, ([bytes, counts]) => {
        const header = reply(asked);
        counts.forEach((count, i) => {
          header.writeUInt16BE(count, 6 + 2 * i);
        });
        sane(Buffer.concat([header, bytes]));
      }),
      { numRuns: 2000 },
    );
  });

  it('and flipped bits do none', () => {
    const answers = [cname('web.default', 'db.default'), a('db.default', '10.0.0.1'), a('db.default', '10.0.0.2')];
    const whole = reply(asked, { answers, authorities: [soa()] });
    const bits = fc.array(fc.nat(whole.length * 8 - 1), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(bits, flips => {
        const message = Buffer.from(whole);
        for (const bit of flips) message[bit >> 3]! ^= 1 << (bit & 7);
        sane(message);
      }),
      { numRuns: 3000 },
    );
  });
});
