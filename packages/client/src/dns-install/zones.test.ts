import { describe, expect, it, test } from 'vitest';
import { parseZone, reverseZones, withoutInner } from './zones.ts';

describe('parseZone', () => {
  it.each([
    ['cluster.local', 'cluster.local'],
    ['Cluster.LOCAL.', 'cluster.local'],
    ['svc', 'svc'],
    ['k8s', 'k8s'],
    ['prod-cluster', 'prod-cluster'],
    ['_tcp.example.com', '_tcp.example.com'],
    ['xn--bcher-kva.example', 'xn--bcher-kva.example'],
    ['96.10.in-addr.arpa', '96.10.in-addr.arpa'],
    ['d.f.ip6.arpa', 'd.f.ip6.arpa'],
    [`${'a'.repeat(63)}.b`, `${'a'.repeat(63)}.b`],
  ])('takes %s', (text, zone) => {
    expect(parseZone(text)).toBe(zone);
  });

  it.each([
    ['', /every name there is/],
    ['.', /every name there is/],
    ['com', /top-level domain.*svc\.com/],
    ['COM.', /top-level domain/],
    ['arpa', /top-level domain/],
    ['localhost', /top-level domain/],
    ['xn--p1ai', /top-level domain/],
    ['local', /mDNS/],
    ['Local.', /mDNS/],
    ['in-addr.arpa', /--network/],
    ['ip6.arpa', /--network/],
    ['a..b', /no domain/],
    ['.cluster.local', /no domain/],
    ['cluster.local..', /no domain/],
    ['*.cluster.local', /no domain/],
    ['~cluster.local', /no domain/],
    ['-a.b', /no domain/],
    ['a-.b', /no domain/],
    ['cluster .local', /no domain/],
    ['cluster.local\nDNS=6.6.6.6', /no domain/],
    ["a'; Remove-Item /.b", /no domain/],
    ['a/b.c', /no domain/],
    ['../../etc/passwd', /no domain/],
    ['büro.example', /xn--/],
    [`${'a'.repeat(64)}.b`, /no domain/],
    [`${'a.'.repeat(127)}b`, /no domain/],
  ])('refuses %j', (text, why) => {
    expect(() => parseZone(text)).toThrow(why);
  });
});

describe('reverseZones', () => {
  it.each([
    ['10.0.0.0/8', ['10.in-addr.arpa']],
    ['10.244.0.0/16', ['244.10.in-addr.arpa']],
    ['10.1.2.0/24', ['2.1.10.in-addr.arpa']],
    ['10.1.2.252/30', [252, 253, 254, 255].map(last => `${last}.2.1.10.in-addr.arpa`)],
    ['10.1.2.3', ['3.2.1.10.in-addr.arpa']],
    ['172.16.0.0/15', ['16.172.in-addr.arpa', '17.172.in-addr.arpa']],
    ['fd00::/8', ['d.f.ip6.arpa']],
    ['fd00:10:96::/108', ['0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.6.9.0.0.0.1.0.0.0.0.d.f.ip6.arpa'.replace(/^/, '')]],
    ['fd00::/7', undefined],
    [
      'fc00::/9',
      [
        '0.c.f.ip6.arpa',
        '1.c.f.ip6.arpa',
        '2.c.f.ip6.arpa',
        '3.c.f.ip6.arpa',
        '4.c.f.ip6.arpa',
        '5.c.f.ip6.arpa',
        '6.c.f.ip6.arpa',
        '7.c.f.ip6.arpa',
      ],
    ],
  ])('of %s', (network, zones) => {
    if (zones === undefined) expect(() => reverseZones(network)).toThrow(/wider/);
    else expect(reverseZones(network)).toEqual(zones);
  });

  test('of 10.96.0.0/12 there are 16', () => {
    const zones = reverseZones('10.96.0.0/12');
    expect(zones).toHaveLength(16);
    expect([zones[0], zones[15]]).toEqual(['96.10.in-addr.arpa', '111.10.in-addr.arpa']);
  });

  it.each([
    ['0.0.0.0/0', /wider/],
    ['::/0', /wider/],
    ['10.0.0.0/7', /wider/],
    ['10.0.0.1/8', /behind its prefix/],
    ['10.96.0.0/11', undefined],
    ['10.97.0.0/12', /behind its prefix/],
    ['10.0.0.0/33', /32 bits/],
    ['fd00::1/64', /behind its prefix/],
    ['fd00::/129', /128 bits/],
    ['010.0.0.0/8', /no network/],
    ['10.0.0/8', /no network/],
    ['example.com', /no network/],
    ['', /no network/],
  ])('refuses %j', (network, why) => {
    if (why === undefined) expect(reverseZones(network)).toHaveLength(32);
    else expect(() => reverseZones(network)).toThrow(why);
  });
});

describe('withoutInner', () => {
  it('leaves out what is there twice, and what lies within another', () => {
    const zones = ['a.cluster.local', 'cluster.local', 'x.example', 'cluster.local', 'notcluster.local'];
    expect(withoutInner(zones)).toEqual(['cluster.local', 'x.example', 'notcluster.local']);
  });
});
