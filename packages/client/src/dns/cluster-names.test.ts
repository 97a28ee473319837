import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ClusterZones, networkOfReverse } from './cluster-names.ts';

const zones = new ClusterZones(
  ['cluster.local', 'corp.example'],
  ['10.96.0.0/12', '10.244.0.0/16', 'fd00:10:96::/108', 'nonsense'],
);

describe('the zones of a cluster', () => {
  it.each([
    ['cluster.local', true],
    ['web.default.svc.cluster.local', true],
    ['_http._tcp.web.default.svc.cluster.local', true],
    ['db.corp.example', true],
    ['mycluster.local', false],
    ['x\\046cluster.local', false],
    ['local', false],
    ['web.default.svc', false],
    ['web', false],
    ['', false],
  ])('have %s: %s', (name, expected) => {
    expect(zones.has(name)).toBe(expected);
  });

  it('are everything with a dot', () => {
    const all = new ClusterZones(['.'], []);
    expect(['', 'web', '1.0.0.127.in-addr.arpa'].map(name => all.has(name))).toEqual([true, true, true]);
  });
});

describe('the reverse zones of its networks', () => {
  const ip6 = (hex: string) => `${[...hex].reverse().join('.')}.ip6.arpa`;

  it.each([
    ['10.0.96.10.in-addr.arpa', true],
    ['255.255.111.10.in-addr.arpa', true],
    ['1.0.112.10.in-addr.arpa', false],
    ['1.2.244.10.in-addr.arpa', true],
    ['1.0.245.10.in-addr.arpa', false],
    ['96.10.in-addr.arpa', true],
    ['10.in-addr.arpa', false],
    ['in-addr.arpa', false],
    ['0/25.0.96.10.in-addr.arpa', true], // RFC 2317
    ['5.1.0.96.10.in-addr.arpa', true],
    ['1.0.096.10.in-addr.arpa', false],
    ['256.0.96.10.in-addr.arpa', true], // below 0.96.10
    ['0.96.10.in-addr.arpa.example', false],
    ['x96.10.in-addr.arpa', false],
    [ip6('fd000010009600000000000000000001'), true],
    [ip6('fd000010009600000000000000100001'), false],
    [ip6('fd0000100096'), false],
    [ip6('00000000000000000000ffff0a600001'), false], // IPv4-mapped
  ])('have %s: %s', (name, expected) => {
    expect(zones.has(name)).toBe(expected);
  });

  it('may be asked for anything', () => {
    const label = fc.oneof(fc.nat(300).map(String), fc.constantFrom('a', 'f', 'xn--', '', '-1', '1e1', '0x1'));
    fc.assert(
      fc.property(
        fc.array(label, { maxLength: 40 }),
        fc.constantFrom('in-addr', 'ip6', 'in_addr'),
        (labels, family) => {
          const network = networkOfReverse([...labels, family, 'arpa'].join('.'));
          if (network !== undefined) {
            expect(network.prefix).toBeLessThanOrEqual(network.base.family === 4 ? 32 : 128);
            expect(network.prefix).toBeGreaterThanOrEqual(0);
          }
        },
      ),
    );
  });
});
