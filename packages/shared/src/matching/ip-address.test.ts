import { isIP } from 'node:net';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { embeddedIpv4, formatAddress, readAddress } from './ip-address.ts';

it.each([
  ['127.0.0.1', '127.0.0.1'],
  ['255.255.255.255', '255.255.255.255'],
  ['0.0.0.0', '0.0.0.0'],
  ['::1', '::1'],
  ['0:0:0:0:0:0:0:1', '::1'],
  ['FE80::A', 'fe80::a'],
  ['fe80::1%eth0', 'fe80::1'],
  ['::1%lo', '::1'],
  ['::ffff:127.0.0.1', '127.0.0.1'],
  ['::FFFF:7f00:1', '127.0.0.1'],
  ['0:0:0:0:0:ffff:a9fe:a9fe', '169.254.169.254'],
  ['::ffff:169.254.169.254%eth0', '169.254.169.254'],
  ['::127.0.0.1', '::7f00:1'],
  ['::0.0.0.1', '::1'],
])('%s is %s', (text, canonical) => {
  expect(formatAddress(readAddress(text)!)).toBe(canonical);
});

it.each([
  '',
  'localhost',
  '2130706433',
  '0177.0.0.1',
  '0x7f.0.0.1',
  '0x7f000001',
  '127.1',
  '127.0.0.1.',
  ' 127.0.0.1',
  '127.0.0.256',
  '1.2.3.4%eth0',
  '[::1]',
  ':::',
  '::1::',
  '::ffff:127.0.0.256',
  '::ffff:0177.0.0.1',
  '::0177.0.0.1',
  '::127.1',
  '::1.2.3.4.5',
  '::%',
  '7::d6%a%9',
  '%eth0',
  '１２７.0.0.1',
])('%j is no address', text => {
  expect(readAddress(text)).toBeUndefined();
});

it('reads no text that the system would not take for an address', () => {
  const letters = fc.string({ unit: fc.constantFrom(...'0123456789abcdefx:.%/[] '), maxLength: 20 });
  fc.assert(
    fc.property(letters, text => {
      const read = readAddress(text);
      if (read !== undefined) expect(isIP(text)).toBeGreaterThan(0);
    }),
    { numRuns: 20_000 },
  );
});

it('reads what it writes', () => {
  const word = fc.oneof(fc.constantFrom(0, 1, 0xffff), fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }));
  fc.assert(
    fc.property(fc.constantFrom(4 as const, 6 as const), word, word, word, word, (family, a, b, c, d) => {
      fc.pre(family === 4 || a !== 0 || b !== 0 || c !== 0xffff);
      const address = family === 4 ? { family, a: 0, b: 0, c: 0, d } : { family, a, b, c, d };
      expect(readAddress(formatAddress(address))).toEqual(address);
    }),
  );
});

it.each([
  ['64:ff9b::169.254.169.254', '169.254.169.254'],
  ['2002:7f00:1::1', '127.0.0.1'],
  ['2002:a9fe:a9fe:1:2:3:4:5', '169.254.169.254'],
  ['::127.0.0.1', '127.0.0.1'],
  ['::ffff:0:127.0.0.1', '127.0.0.1'],
  ['::', undefined],
  ['::1', undefined],
  ['::2', '0.0.0.2'],
  ['::255.0.0.1', '255.0.0.1'],
  ['64:ff9b:1::7f00:1', undefined],
  ['2001:db8::7f00:1', undefined],
  ['127.0.0.1', undefined],
])('%s embeds %s', (text, embedded) => {
  const found = embeddedIpv4(readAddress(text)!);
  expect(found && formatAddress(found)).toBe(embedded);
});
