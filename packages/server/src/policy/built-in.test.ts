import { describe, expect, it } from 'vitest';
import { allow, deny, policy, to } from './policy-fixtures.ts';

describe('built in', () => {
  const open = policy({ default: 'allow' });

  it.each([
    ['loopback', '127.0.0.1', '127.255.255.255', '::1'],
    ['unspecified', '0.0.0.0', '0.1.2.3', '::'],
    ['link-local', '169.254.0.1', '169.254.20.10', '169.254.255.255', 'fe80::1', 'febf::1', 'fe80::1%eth0'],
    ['cloud metadata', '169.254.169.254', '169.254.170.2', '168.63.129.16', '100.100.100.200', '192.0.0.192'],
    ['cloud metadata', 'fd00:ec2::254', 'fd20:ce::254', 'fd00:c1::a9fe:a9fe', 'fe80::a9fe:a9fe'],
    ['multicast', '224.0.0.1', '239.255.255.250', 'ff02::1'],
    ['broadcast', '255.255.255.255'],
    ['local NAT64', '64:ff9b:1::1'],
  ])('%s is denied: %s', (name, ...addresses) => {
    for (const address of addresses) {
      expect(open.evaluate(to(address))).toEqual({ allowed: false, rule: `built in: ${name}` });
    }
  });

  it.each([
    ...['1.0.0.0', '10.0.0.1', '100.64.0.1', '100.100.100.199', '126.255.255.255', '128.0.0.0', '169.253.255.255'],
    ...['169.255.0.0', '172.16.0.1', '192.168.0.1', '223.255.255.255', '240.0.0.1', '255.255.255.254'],
    ...[
      '::2:0:0',
      'fd00::1',
      'fc00::1',
      'fec0::1',
      'fe7f::1',
      'feff::1',
      '2001:db8::1',
      'fd00:ec2::253',
      '64:ff9b:2::1',
    ],
  ])('%s is not', address => {
    expect(open.evaluate(to(address))).toEqual({ allowed: true, rule: 'default' });
  });

  it.each([
    ['127.0.0.0/8', '127.0.0.1'],
    ['127.0.0.1', '127.0.0.1'],
    ['::ffff:127.0.0.0/104', '127.0.0.1'],
    ['::1', '::1'],
    ['169.254.0.0/16', '169.254.20.10'],
    ['169.254.20.10', '169.254.20.10'],
    ['169.254.169.254', '169.254.169.254'],
    ['224.0.0.0/4', '224.0.0.1'],
    ['239.0.0.0/8', '239.1.1.1'],
    ['fe80::/64', 'fe80::1%eth0'],
    ['255.255.255.255', '255.255.255.255'],
    ['0.0.0.0', '0.0.0.0'],
  ])('is lifted by allowing %s: %s', (network, address) => {
    // What is wider, before or after, makes no difference.
    for (const rules of [
      [allow(network)],
      [allow('0.0.0.0/0', '::/0'), allow(network)],
      [allow(network), deny('0.0.0.0/0')],
    ]) {
      expect(policy({ rules }).evaluate(to(address)).allowed).toBe(true);
    }
  });

  it.each([
    ['0.0.0.0/0', '127.0.0.1'],
    ['126.0.0.0/7', '127.0.0.1'],
    ['::/0', '::1'],
    ['::/0', 'fe80::1'],
    ['0.0.0.0/0', '0.0.0.0'],
    ['169.254.0.0/16', '169.254.169.254'],
    ['fe80::/10', 'fe80::a9fe:a9fe'],
    ['fd00::/8', 'fd00:ec2::254'],
    ['127.0.0.0/9', '127.128.0.1'],
    ['::1', '127.0.0.1'],
    ['127.0.0.0/8', '::1'],
    ['*', '127.0.0.1'],
    ['localhost', '127.0.0.1'],
  ])('is not lifted by allowing %s: %s', (place, address) => {
    const name = 'localhost';
    const { allowed, rule } = policy({ default: 'allow', rules: [allow(place)] }).evaluate(to(address, { name }));
    expect({ allowed, rule }).toEqual({ allowed: false, rule: expect.stringMatching(/^built in: /) });
  });

  it('is not lifted by a rule without destination, nor by what is within', () => {
    const rules = [{ action: 'allow' as const }, { action: 'allow' as const, to: ['*'], within: ['127.0.0.0/8'] }];
    expect(policy({ rules }).evaluate(to('127.0.0.1', { name: 'a.example' })).allowed).toBe(false);
  });

  it('is lifted for whom the rule is about', () => {
    const rules = [{ ...allow('127.0.0.0/8'), users: ['ada'], ports: '5432', protocols: ['tcp' as const] }];
    const own = policy({ default: 'allow', rules, users: [{ name: 'ada' }, { name: 'bob' }] });
    expect(own.evaluate(to('127.0.0.1', { port: 5432 })).allowed).toBe(true);
    expect(own.evaluate(to('127.0.0.1', { port: 5432, user: 'bob' })).allowed).toBe(false);
    expect(own.evaluate(to('127.0.0.1', { port: 5432, protocol: 'udp' })).allowed).toBe(false);
    expect(own.evaluate(to('127.0.0.1')).allowed).toBe(false);
  });

  it('yields to a deny rule before, which says where it is', () => {
    const own = policy({ rules: [deny('127.0.0.1'), allow('127.0.0.0/8')] });
    expect(own.evaluate(to('127.0.0.1'))).toEqual({ allowed: false, rule: 'rule 0' });
    expect(own.evaluate(to('127.0.0.2')).allowed).toBe(true);
  });
});
