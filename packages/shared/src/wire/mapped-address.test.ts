import fc from 'fast-check';
import { expect, it } from 'vitest';
import { decodeAddress, encodeAddress, targetOf } from './address.ts';
import { ipv4OfMapped } from './mapped-address.ts';

it.each([
  ['::ffff:192.0.2.1', '192.0.2.1'],
  ['::ffff:c000:201', '192.0.2.1'],
  ['::ffff:0:0', '0.0.0.0'],
  ['::ffff:0.0.0.0', '0.0.0.0'],
  ['::ffff:255.255.255.255', '255.255.255.255'],
  ['::ffff:7f00:1', '127.0.0.1'],
])('%s means %s', (address, ipv4) => {
  expect(ipv4OfMapped(address)).toBe(ipv4);
});

it.each([
  '::1',
  '::',
  '::192.0.2.1', // IPv4-compatible, long deprecated
  '::ffff', // ends in ffff, that is all
  '::ffff:1', // the same
  '::ffff:0:192.0.2.1', // IPv4-translated (RFC 2765)
  '64:ff9b::192.0.2.1', // NAT64: another network's affair
  '1::ffff:192.0.2.1',
  '2001:db8::ffff:192.0.2.1',
  'fe80::1%eth0',
  '192.0.2.1',
  '::ffff:192.0.2.256',
  '::ffff:a.example',
  '',
])('%j means no IPv4 address', address => {
  expect(ipv4OfMapped(address)).toBeUndefined();
});

it('finds every mapped address as it comes from the wire, and nothing else', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 4, maxLength: 4 }), fc.nat(95), (ipv4, bit) => {
      const wire = Uint8Array.from([4, ...Array(10).fill(0), 0xff, 0xff, ...ipv4, 0, 53]);
      const hostOf = () => decodeAddress(wire, 0, wire.length)!.target.host;
      expect(ipv4OfMapped(hostOf())).toBe(ipv4.join('.'));
      wire[1 + (bit >> 3)]! ^= 1 << (bit % 8);
      expect(ipv4OfMapped(hostOf())).toBeUndefined();
    }),
  );
});

it('finds them as the system writes the peers of a socket of both families', () => {
  const wire = new Uint8Array(30);
  encodeAddress(wire, 0, targetOf('::ffff:10.96.0.10', 53));
  expect(ipv4OfMapped(decodeAddress(wire, 0, wire.length)!.target.host)).toBe('10.96.0.10');
});
