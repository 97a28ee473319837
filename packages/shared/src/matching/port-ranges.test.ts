import { expect, it } from 'vitest';
import { hasPort, parsePorts, spellsPort } from './port-ranges.ts';

it('reads ports and ranges', () => {
  expect(parsePorts('443')).toEqual([{ first: 443, last: 443 }]);
  expect(parsePorts(' 443 , 8000 - 8999,1-65535')).toEqual([
    { first: 443, last: 443 },
    { first: 8000, last: 8999 },
    { first: 1, last: 65535 },
  ]);
});

it.each(['', '0', '65536', '443,', '9-8', '-1', '1-', '1-2-3', 'http', '1e3', '0x50'])('%j is refused', text => {
  expect(() => parsePorts(text)).toThrow('is not a port or range of ports');
});

it('holds the ends of ranges, and knows what is spelt out', () => {
  const ranges = parsePorts('443, 8000-8999, 53-53');
  expect([443, 8000, 8999, 53].map(port => hasPort(ranges, port))).toEqual([true, true, true, true]);
  expect([442, 444, 7999, 9000, 0].map(port => hasPort(ranges, port))).not.toContain(true);
  expect([443, 53, 8000].map(port => spellsPort(ranges, port))).toEqual([true, true, false]);
});
