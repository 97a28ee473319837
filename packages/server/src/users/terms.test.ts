import { describe, expect, it } from 'vitest';
import { formatBandwidth, formatExpires, parseBandwidth, parseExpires } from './terms.ts';
import { hasExpired, shareOf } from './user.ts';

describe('when a user expires', () => {
  it.each([
    ['2027-01-31T00:00:00Z', '2027-01-31T00:00:00Z'],
    ['2027-01-31t01:30:00.250+01:30', '2027-01-31T00:00:00.250Z'],
    ['2027-01-31', '2027-02-01T00:00:00Z'],
    ['2028-02-29', '2028-03-01T00:00:00Z'],
  ])('%s is %s', (text, expected) => {
    expect(formatExpires(parseExpires(text))).toBe(expected);
  });

  it.each([
    '',
    'soon',
    '2027',
    '2027-01',
    '2027-02-31',
    '2027-02-31T00:00:00Z',
    '2027-13-01',
    '2027-01-31T00:00:00',
    '2027-01-31T25:00:00Z',
    '2027-01-31 00:00:00Z',
    '1800000000',
    '2027-01-31T00:00:00Z or later',
  ])('is not %j', text => {
    expect(() => parseExpires(text)).toThrow(/is no time; give a time such as/);
  });

  it('is over from that moment on', () => {
    expect([0, 9, 10, 11].map(now => hasExpired({ expires: 10 }, now))).toEqual([false, false, true, true]);
    expect(hasExpired({}, Number.MAX_SAFE_INTEGER)).toBe(false);
  });
});

describe('a bandwidth', () => {
  it.each([
    ['10MB', 10_000_000, '10MB'],
    ['10MB/s', 10_000_000, '10MB'],
    ['1.5 kB', 1500, '1.5kB'],
    ['100Mbit', 12_500_000, '12.5MB'],
    ['1Gbit/s', 125_000_000, '125MB'],
    ['8kbit', 1000, '1kB'],
  ])('%s is %d bytes a second', (text, bytes, formatted) => {
    expect(parseBandwidth(text)).toBe(bytes);
    expect(formatBandwidth(bytes)).toBe(formatted);
    expect(parseBandwidth(formatted)).toBe(bytes);
  });

  it.each(['', '10', '10M', '10Mb', '10mb', 'MB', '-1MB', '1e3MB', '10MiB', '10 MB s', '1TB', '99999999999MB'])(
    'is not %j',
    text => {
      expect(() => parseBandwidth(text)).toThrow(/bytes a second, "10MB", or bits a second, "100Mbit"/);
    },
  );

  it('has to carry something', () => {
    expect(() => parseBandwidth('7.9kbit')).toThrow('is too little; give 1kB or more');
  });
});

describe('the share of a worker', () => {
  const user = { name: 'ada', key: new Uint8Array(1), groups: ['a'], expires: 5, maxConnections: 5, bandwidth: 1001 };

  it('is even, and rounded up', () => {
    expect(shareOf(user, 1)).toBe(user);
    expect(shareOf(user, 2)).toEqual({ ...user, maxConnections: 3, bandwidth: 501 });
    expect(shareOf(user, 9)).toEqual({ ...user, maxConnections: 1, bandwidth: 112 });
  });

  it('of what has no limit has none', () => {
    const free = { name: 'ben', key: new Uint8Array(1) };
    expect(shareOf(free, 4)).toEqual(free);
  });
});
