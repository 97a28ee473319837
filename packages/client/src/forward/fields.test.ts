import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkMaps, parseForward, parseMap, warnOfOpenForwards } from './fields.ts';

describe('-L', () => {
  it.each([
    ['5432:db.default:5432', '127.0.0.1', 5432, 'db.default', 5432, 'tcp'],
    ['0:10.96.0.1:443', '127.0.0.1', 0, '10.96.0.1', 443, 'tcp'],
    ['0.0.0.0:53:10.96.0.10:53/udp', '0.0.0.0', 53, '10.96.0.10', 53, 'udp'],
    ['[::1]:8080:[fd00:10:96::1]:80/tcp', '::1', 8080, 'fd00:10:96::1', 80, 'tcp'],
    ['localhost:1:a:2', 'localhost', 1, 'a', 2, 'tcp'],
    ['[fe80::1%eth0]:1:a:2', 'fe80::1%eth0', 1, 'a', 2, 'tcp'],
  ])('takes %s', (text, listenHost, listenPort, host, port, protocol) => {
    const forward = parseForward(text);
    expect(forward.listen).toEqual({ host: listenHost, port: listenPort });
    expect(forward.target).toMatchObject({ host, port });
    expect(forward.protocol).toBe(protocol);
  });

  it.each([
    '',
    '1',
    '1:2',
    'a:b:c',
    '1:host:0',
    '1:host:65536',
    '65536:host:1',
    '1:host:2/sctp',
    '::1:1:host:2',
    '1:[::1:2',
    'x:1:h:2:3',
  ])('refuses %j, and says what it should be', text => {
    expect(() => parseForward(text)).toThrow(/port|such as/);
  });

  it.each([
    ['[]:8080:host:80', /^"\[\]" is no IPv6 address, which is what stands in brackets$/],
    ['[0.0.0.0]:8080:host:80', /^"\[0\.0\.0\.0\]" is no IPv6 address/],
    ['8080:[]:80', /^"\[\]" is no IPv6 address/],
    ['8080:[db.default]:80', /^"\[db\.default\]" is no IPv6 address/],
    ['8080:[fe80::1%eth0]:80', /^"\[fe80::1%eth0\]" is of a link of its machine; give an address without %$/],
  ])('refuses %s, and says why', (text, message) => {
    expect(() => parseForward(text)).toThrow(message);
  });

  it('reads back what it is given', () => {
    const label = fc.stringMatching(/^[a-z][a-z0-9-]{0,20}$/);
    fc.assert(
      fc.property(fc.nat(65535), label, fc.integer({ min: 1, max: 65535 }), (local, host, port) => {
        expect(parseForward(`${local}:${host}:${port}`)).toMatchObject({
          listen: { port: local },
          target: { host, port },
        });
      }),
    );
  });

  it('throws only its own error, whatever it is given', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'0123456789:[]/.abudpt%\n\0') }), text => {
        try {
          parseForward(text);
        } catch (error) {
          expect(error).toMatchObject({ code: 'ERR_CONFIG' });
        }
      }),
      { numRuns: 2000 },
    );
  });
});

it('refuses a name that is longer than names are', () => {
  expect(() => parseForward(`1:${'a'.repeat(254)}:80`)).toThrow(/more than 253 bytes/);
  expect(() => parseMap(`${'b'.repeat(63)}.${'b'.repeat(63)}.${'b'.repeat(63)}.${'b'.repeat(63)}.x:80`)).toThrow(
    /more than 253/,
  );
});

describe('--map', () => {
  it('takes a name and a port, without case or a dot at the end', () => {
    expect(parseMap('Redis-0.redis.default.svc.cluster.local.:6379')).toEqual({
      type: 'name',
      host: 'redis-0.redis.default.svc.cluster.local',
      port: 6379,
    });
  });

  it.each([
    'redis',
    'redis:',
    'redis:0',
    'redis:70000',
    '10.0.0.1:80',
    '[::1]:80',
    'a b:80',
    'a/b:80',
    '*.redis:80',
    ':80',
  ])('refuses %j', text => expect(() => parseMap(text)).toThrow(expect.objectContaining({ code: 'ERR_CONFIG' })));
});

it('no map is there twice', () => {
  const value = ['a:1', 'A:1'].map(parseMap);
  expect(() => checkMaps({ value, from: '--map' })).toThrow(/--map: a:1 is there twice/);
  expect(() => checkMaps({ value: ['a:1', 'a:2'].map(parseMap), from: '--map' })).not.toThrow();
});

it.each([
  [['127.0.0.1:1:a:1', '[::1]:1:a:1', 'localhost:2:a:1/udp', '3:a:1'], undefined],
  [['0.0.0.0:1:a:1', '2:a:1', '[::]:3:a:1/udp'], '-L: anyone who can reach 0.0.0.0:1, [::]:3 can use this forward; '],
  [['nas.example:1:a:1'], '-L: anyone who can reach nas.example:1 can use this forward; '],
])('forwards %j are for this machine, or a warning says whose they are', (texts, expected) => {
  const warnings: string[] = [];
  warnOfOpenForwards({ value: texts.map(parseForward), from: '-L' }, message => void warnings.push(message));
  expect(warnings).toEqual(expected === undefined ? [] : [expect.stringContaining(expected)]);
});
