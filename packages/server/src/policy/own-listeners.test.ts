import { describe, expect, it } from 'vitest';
import { allow, policy, to } from './policy-fixtures.ts';

describe("the server's own listeners", () => {
  const listeners = [
    { host: '0.0.0.0', port: 8388 },
    { host: '127.0.0.1', port: 9100 },
  ];
  const text = { default: 'allow' as const, listeners, machine: ['127.0.0.1', '10.1.2.3', 'fd00::3', 'fe80::3'] };
  const ITSELF = { allowed: false, rule: 'built in: the server itself' };

  it('are denied at each address of the machine', () => {
    const own = policy({
      ...text,
      rules: [allow('127.0.0.0/8', '::1', '0.0.0.0/8', '::', 'fe80::/10', '0.0.0.0/0', '::/0')],
    });
    const addresses = [
      '10.1.2.3',
      '127.0.0.1',
      '127.9.9.9',
      '0.0.0.0',
      '::',
      '::1',
      'fd00::3',
      'fe80::3%eth0',
      '::ffff:10.1.2.3',
    ];
    for (const address of addresses) {
      expect(own.evaluate(to(address, { port: 8388 }))).toEqual(ITSELF);
      expect(own.evaluate(to(address, { port: 8388, protocol: 'udp', name: 'a.example' }))).toEqual(ITSELF);
      expect(own.evaluate(to(address, { port: 8389 })).allowed).toBe(true);
    }
    expect(own.evaluate(to('10.1.2.4', { port: 8388 })).allowed).toBe(true);
    expect(own.evaluate(to('127.0.0.1', { port: 9100 }))).toEqual(ITSELF);
    expect(own.evaluate(to('0.0.0.0', { port: 9100 }))).toEqual(ITSELF);
    expect(own.evaluate(to('10.1.2.3', { port: 9100 })).allowed).toBe(true);
  });

  it('are lifted by address and port, and nothing less', () => {
    const allowed = (to_: string[], ports?: string) =>
      policy({ ...text, rules: [{ ...allow(...to_), ...(ports && { ports }) }] }).evaluate(
        to('127.0.0.1', { port: 9100 }),
      ).allowed;
    expect(allowed(['127.0.0.1'], '9100')).toBe(true);
    expect(allowed(['127.0.0.1'])).toBe(false);
    expect(allowed(['127.0.0.1'], '9000-9200')).toBe(false);
    expect(allowed(['127.0.0.0/31'], '9100')).toBe(false);
    expect(allowed(['0.0.0.0/0'], '9100')).toBe(false);
  });

  it('are those that were said last; a host that is no address counts as all', () => {
    const own = policy({ ...text, listeners: [{ host: 'localhost', port: 8000 }] });
    expect(own.evaluate(to('10.1.2.3', { port: 8388 })).allowed).toBe(true);
    expect(own.evaluate(to('10.1.2.3', { port: 8000 }))).toEqual(ITSELF);
  });
});
