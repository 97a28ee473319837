import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { queryBytes, queryFor } from './dns-fixtures.ts';
import { queryKey, readQuery } from './query.ts';
import { encodeHeaderReply } from './reply.ts';

const FORMERR = 1;
const NOTIMP = 4;

describe('a query', () => {
  it('is read', () => {
    const query = queryFor('Web.Default', { id: 0x1234, type: 'SRV' });
    expect(query).toMatchObject({
      id: 0x1234,
      flags: 0x0100,
      name: 'web.default',
      type: 33,
      class: 1,
      edns: undefined,
    });
    expect(query.question.toString('latin1')).toBe('\x03Web\x07Default\0\0\x21\0\x01');
  });

  it('says with EDNS0 what it takes', () => {
    expect(queryFor('web', { payloadBytes: 1400, wantsDnssec: true }).edns).toEqual({
      payloadBytes: 1400,
      version: 0,
      wantsDnssec: true,
    });
    expect(queryFor('web', { payloadBytes: 512 }).edns).toMatchObject({ payloadBytes: 512, wantsDnssec: false });
  });

  it('may be for the root', () => {
    expect(queryFor('.', { type: 'NS' })).toMatchObject({ name: '', type: 2 });
  });

  it('whose labels have dots or worse in them is not taken for another', () => {
    const bytes = queryBytes('x.cluster.local');
    bytes[12 + 2] = 0x2e; // in place of the length of "cluster"
    bytes[12] = 9;
    expect(readQuery(bytes)).toMatchObject({ name: 'x\\046cluster.local' });
    bytes.write('\n\xff\0\\', 13, 'latin1');
    expect(readQuery(bytes)).toMatchObject({ name: '\\010\\255\\000\\092uster.local' });
  });

  const nameOf = (...labels: number[]) =>
    Buffer.concat([
      Buffer.from('000701000001000000000000', 'hex'),
      ...labels.map(length => Buffer.concat([Buffer.of(length), Buffer.alloc(length, 'a')])),
      Buffer.from('0000010001', 'hex'),
    ]);

  it.each<[string, Buffer, number | undefined]>([
    ['is an answer', change(queryBytes('web'), 2, 0x81), undefined],
    ['has no header', queryBytes('web').subarray(0, 11), undefined],
    ['is empty', Buffer.alloc(0), undefined],
    ['is an UPDATE', change(queryBytes('web'), 2, 0x28), NOTIMP],
    ['has no question', change(queryBytes('web'), 5, 0), FORMERR],
    ['has two', change(queryBytes('web'), 5, 2), FORMERR],
    ['ends in its name', queryBytes('web').subarray(0, 15), FORMERR],
    ['ends in its type', queryBytes('web').subarray(0, -3), FORMERR],
    ['has a pointer for a name', change(queryBytes('web'), 12, 0xc0), FORMERR],
    ['has a label of 64 bytes', nameOf(64), FORMERR],
    ['has a name of 256 bytes', nameOf(63, 63, 63, 62), FORMERR],
    ['counts records that are not there', change(queryBytes('web'), 11, 1), FORMERR],
    ['has two OPT', change(Buffer.concat([queryBytes('web', { payloadBytes: 512 }), OPT()]), 11, 2), FORMERR],
    ['has OPT with a name', change(Buffer.concat([queryBytes('web'), Buffer.of(1, 0x61), OPT()]), 11, 1), FORMERR],
  ])('that %s is none', (_, message, outcome) => {
    expect(readQuery(message)).toBe(outcome);
  });

  it('of 255 bytes is one', () => {
    expect(readQuery(nameOf(63, 63, 63, 61))).toMatchObject({ type: 1, class: 1 });
  });

  it('may be any bytes', () => {
    const header = fc.constantFrom('0007010000010000000000', '000700000001000000000001', '00070100000100010001ffff');
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 600 }),
      fc
        .tuple(header, fc.uint8Array({ maxLength: 600 }))
        .map(([hex, rest]) => Buffer.concat([Buffer.from(hex, 'hex'), rest])),
    );
    fc.assert(
      fc.property(bytes, given => {
        const message = Buffer.from(given);
        const query = readQuery(message);
        if (typeof query === 'number') expect(encodeHeaderReply(message, query)).toHaveLength(12);
        else if (query !== undefined) {
          expect(query.name).toMatch(/^[\x21-\x7e]*$/);
          expect(queryKey(query).length).toBeLessThan(300);
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe('the key', () => {
  const key = (...given: Parameters<typeof queryFor>) => queryKey(queryFor(...given));

  it('is the same for upper and lower case, other ids, and other payload sizes', () => {
    expect(key('WEB.Default', { id: 1 })).toBe(key('web.default', { id: 2, payloadBytes: 1232 }));
  });

  it('differs by name, type, and what is wanted', () => {
    const keys = [
      key('web'),
      key('wex'),
      key('web.'.repeat(2)),
      key('web', { type: 'AAAA' }),
      key('web', { type: 65 }), // as bytes, upper and lower case of a letter
      key('web', { type: 97 }),
      key('web', { class: 'CH' }),
      key('web', { flags: 0 }),
      key('web', { flags: 0x0120 }),
      key('web', { flags: 0x0110 }),
      key('web', { payloadBytes: 512, wantsDnssec: true }),
    ];
    expect(new Set(keys).size).toBe(keys.length);
  });
});

function change(message: Buffer, at: number, byte: number): Buffer {
  const changed = Buffer.from(message);
  changed[at] = byte;
  return changed;
}

function OPT(): Buffer {
  return Buffer.from('0000290200000000000000', 'hex');
}
