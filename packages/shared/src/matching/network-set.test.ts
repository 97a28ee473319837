import { BlockList } from 'node:net';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { formatAddress, type IpAddress, readAddress } from './ip-address.ts';
import { contains, formatNetwork, parseNetwork, readNetwork } from './network.ts';
import { NetworkSet } from './network-set.ts';

it.each([
  ['10.0.0.0/8', '10.0.0.0/8'],
  ['10.1.2.3', '10.1.2.3'],
  ['10.1.2.3/32', '10.1.2.3'],
  ['0.0.0.0/0', '0.0.0.0/0'],
  ['::/0', '::/0'],
  ['fd00::/8', 'fd00::/8'],
  ['FE80::/10', 'fe80::/10'],
  ['::1/128', '::1'],
  ['::ffff:10.0.0.0/104', '10.0.0.0/8'],
  ['::ffff:0:0/96', '0.0.0.0/0'],
  ['::ffff:127.0.0.1', '127.0.0.1'],
])('%s is the network %s', (text, canonical) => {
  expect(formatNetwork(parseNetwork(text))).toBe(canonical);
});

it.each([
  ['10.0.0.1/8', '10.0.0.1/8 has bits behind its prefix; write 10.0.0.0/8, or 10.0.0.1 for the one address'],
  ['fd00::1/8', 'fd00::1/8 has bits behind its prefix; write fd00::/8, or fd00::1 for the one address'],
  [
    '::ffff:10.0.0.1/104',
    '::ffff:10.0.0.1/104 has bits behind its prefix; write 10.0.0.0/8, or 10.0.0.1 for the one address',
  ],
])('%s is refused, with what may be meant', (text, message) => {
  expect(() => parseNetwork(text)).toThrow(expect.objectContaining({ code: 'ERR_CONFIG', message }));
});

it.each([
  '',
  '10.0.0.0/33',
  '::/129',
  '10.0.0.0/',
  '10.0.0/8',
  '10/8',
  '10.0.0.0/-1',
  'a.example',
  'fe80::1%eth0/64',
  '010.0.0.0/8',
])('%j is refused', text => {
  expect(() => parseNetwork(text)).toThrow('is not a network');
});

it('clears the bits behind the prefix where that is asked for', () => {
  expect(formatNetwork(readNetwork('::ffff:127.0.0.1/104')!.network)).toBe('127.0.0.0/8');
  expect(formatNetwork(readNetwork('10.1.2.3/15')!.network)).toBe('10.0.0.0/15');
});

it('keeps families apart', () => {
  const all = [new NetworkSet([parseNetwork('::/0')]), new NetworkSet([parseNetwork('0.0.0.0/0')])] as const;
  const [one, other] = [readAddress('192.0.2.1')!, readAddress('2001:db8::1')!];
  expect(all.map(set => [set.has(one), set.has(other)])).toEqual([
    [false, true],
    [true, false],
  ]);
  // Wider than the mapped addresses, and still not IPv4.
  expect(contains(parseNetwork('::/64'), readAddress('::ffff:192.0.2.1')!)).toBe(false);
});

/** Few different bits, so that networks and addresses meet. */
const word = fc.constantFrom(0, 1, -1, 0x0a000000, 0x0a010000, 0x0a010001, 0xfd000000 | 0, 0x80000000 | 0, 0x7fffffff);
const address: fc.Arbitrary<IpAddress> = fc.oneof(
  word.map(d => ({ family: 4 as const, a: 0, b: 0, c: 0, d })),
  fc.record({ family: fc.constant(6 as const), a: word, b: word, c: word, d: word }),
);
const cidr = fc
  .record({ base: address, bits: fc.nat(128) })
  .map(({ base, bits }) => `${formatAddress(base)}/${base.family === 4 ? bits % 33 : bits}`);

it('holds what the BlockList of Node holds', () => {
  fc.assert(
    fc.property(fc.array(cidr, { maxLength: 12 }), address, (cidrs, asked) => {
      // One for each family: Node holds IPv4 addresses to be in ::/0.
      const theirs = { ipv4: new BlockList(), ipv6: new BlockList() };
      for (const text of cidrs) {
        const [base, prefix] = text.split('/');
        const family = base!.includes(':') ? 'ipv6' : 'ipv4';
        theirs[family].addSubnet(base!, Number(prefix), family);
      }
      const own = new NetworkSet(cidrs.map(text => readNetwork(text)!.network));
      const family = asked.family === 4 ? 'ipv4' : 'ipv6';
      const expected = theirs[family].check(formatAddress(asked), family);
      expect(own.has(asked)).toBe(expected);
      expect(own.hasNarrow(asked, 0)).toBe(expected);
    }),
    { numRuns: 3000 },
  );
});

it('knows how narrow a network holds an address', () => {
  const set = new NetworkSet(['0.0.0.0/0', '127.0.0.0/8', '127.0.0.0/16'].map(parseNetwork));
  const loopback = readAddress('127.0.0.1')!;
  expect([0, 8, 16, 17].map(bits => set.hasNarrow(loopback, bits))).toEqual([true, true, true, false]);
  expect(set.hasNarrow(readAddress('192.0.2.1')!, 1)).toBe(false);
});
