import { describe, expect, it } from 'vitest';
import { allow, deny, policy, to } from './policy-fixtures.ts';

const DB = 'db.payments.svc.cluster.local';

describe('rules', () => {
  it('decide in order, the first that applies', () => {
    const own = policy({ rules: [deny('10.1.0.0/16'), allow('10.0.0.0/8'), deny('10.2.0.0/16')] });
    expect(own.evaluate(to('10.1.0.1'))).toEqual({ allowed: false, rule: 'rule 0' });
    expect(own.evaluate(to('10.2.0.1'))).toEqual({ allowed: true, rule: 'rule 1' });
    expect(own.evaluate(to('192.0.2.1'))).toEqual({ allowed: false, rule: 'default' });
  });

  it.each(['allow', 'deny'] as const)('leave to the default (%s) what none of them is about', action => {
    const own = policy({ default: action, rules: [deny('10.0.0.0/8')] });
    expect(own.evaluate(to('192.0.2.1'))).toEqual({ allowed: action === 'allow', rule: 'default' });
    expect(own.evaluate(to('2001:db8::1'))).toEqual({ allowed: action === 'allow', rule: 'default' });
  });

  it('are about users or groups', () => {
    const own = policy({
      rules: [
        { action: 'allow', users: ['ada'], groups: ['ops'] },
        { action: 'allow', groups: ['dev'], ports: '22' },
      ],
      users: [
        { name: 'ada' },
        { name: 'bob', groups: ['ops', 'dev'] },
        { name: 'eve', groups: ['dev'] },
        { name: 'kim' },
      ],
    });
    const allowed = (user: string, port = 443) => own.evaluate(to('192.0.2.1', { user, port })).allowed;
    expect(['ada', 'bob', 'eve', 'kim', 'nobody', 'ops'].map(user => allowed(user))).toEqual([
      true,
      true,
      false,
      false,
      false,
      false,
    ]);
    expect(['ada', 'bob', 'eve', 'kim'].map(user => allowed(user, 22))).toEqual([true, true, true, false]);
  });

  it('are about ports and protocols', () => {
    const own = policy({
      rules: [
        { action: 'allow', ports: '443, 8000-8999' },
        { action: 'allow', ports: '53', protocols: ['udp'] },
        { action: 'allow', ports: '54', protocols: ['udp', 'tcp'] },
      ],
    });
    const allowed = (port: number, protocol: 'tcp' | 'udp') =>
      own.evaluate(to('192.0.2.1', { port, protocol })).allowed;
    expect([443, 8000, 8999, 54].map(port => allowed(port, 'tcp'))).toEqual([true, true, true, true]);
    expect([444, 7999, 9000, 53].map(port => allowed(port, 'tcp'))).not.toContain(true);
    expect([53, 54].map(port => allowed(port, 'udp'))).toEqual([true, true]);
  });

  it('never apply with a list that has nothing in it', () => {
    const empty = { action: 'allow' as const };
    const own = policy({
      rules: [
        { ...empty, to: [] },
        { ...empty, within: [] },
        { ...empty, users: [] },
        { ...empty, groups: [] },
        { ...empty, protocols: [] },
      ],
      users: [{ name: 'ada', groups: ['ops'] }],
    });
    expect(own.evaluate(to('192.0.2.1', { name: DB }))).toEqual({ allowed: false, rule: 'default' });
    expect(own.evaluateName({ ...to(''), name: DB })).toEqual({ allowed: false, rule: 'default' });
  });

  it('take a network or a name, and what is within', () => {
    const own = policy({
      rules: [
        { action: 'allow', to: ['10.0.0.0/8', '*.svc.cluster.local'], within: ['10.96.0.0/12', '172.16.0.0/12'] },
      ],
    });
    expect(own.evaluate(to('10.96.0.1')).allowed).toBe(true);
    expect(own.evaluate(to('10.0.0.1')).allowed).toBe(false);
    expect(own.evaluate(to('172.16.0.1')).allowed).toBe(false);
    expect(own.evaluate(to('172.16.0.1', { name: DB })).allowed).toBe(true);
    // A service of a tenant whose endpoints are elsewhere.
    expect(own.evaluate(to('192.0.2.1', { name: DB })).allowed).toBe(false);
  });
});

describe('a name', () => {
  const own = policy({ rules: [allow('*.payments.svc.cluster.local')] });

  it('admits the addresses that it was resolved to, for whoever asked by it', () => {
    expect(own.evaluate(to('10.96.3.4', { name: DB }))).toEqual({ allowed: true, rule: 'rule 0' });
    expect(own.evaluate(to('fd00::5', { name: `${DB}.` })).allowed).toBe(true);
    expect(own.evaluate(to('10.96.3.4')).allowed).toBe(false);
    expect(own.evaluate(to('10.96.3.4', { name: 'db.other.svc.cluster.local' })).allowed).toBe(false);
  });

  it('that is none is denied where a rule has names, whatever the default is', () => {
    const open = policy({ default: 'allow', rules: [deny('evil.example')] });
    for (const name of ['ｅvil.example', 'evil。example', 'evil..example', '2130706433', '10.0.0.1']) {
      expect(open.evaluate(to('192.0.2.1', { name }))).toEqual({ allowed: false, rule: 'built in: not a name of DNS' });
      expect(open.evaluateName({ ...to(''), name })?.allowed).toBe(false);
      expect(policy({ default: 'allow' }).evaluate(to('192.0.2.1', { name })).allowed).toBe(true);
      expect(policy({ default: 'allow' }).evaluateName({ ...to(''), name })).toBeUndefined();
    }
  });
});

describe('before the look-up', () => {
  const verdict = (rules: Parameters<typeof policy>[0], name: string | undefined = DB) =>
    policy(rules).evaluateName({ user: 'ada', protocol: 'tcp', port: 443, name });

  it('a name is denied where no address could be allowed', () => {
    expect(verdict({ rules: [allow('a.example')] })).toEqual({ allowed: false, rule: 'default' });
    expect(verdict({ rules: [deny(DB), allow('10.0.0.0/8')] })).toEqual({ allowed: false, rule: 'rule 0' });
    expect(
      verdict({ rules: [{ action: 'deny', users: ['ada'] }], users: [{ name: 'ada' }], default: 'allow' }),
    ).toEqual({
      allowed: false,
      rule: 'rule 0',
    });
    expect(verdict({ rules: [{ action: 'allow', to: ['10.0.0.0/8'], ports: '80' }] })?.allowed).toBe(false);
  });

  it('it is not where an address could be', () => {
    expect(verdict({ default: 'allow' })).toBeUndefined();
    expect(verdict({ rules: [allow('10.0.0.0/8')] })).toBeUndefined();
    expect(verdict({ rules: [allow(DB), deny(DB)] })).toBeUndefined();
    expect(verdict({ rules: [deny('10.0.0.0/8')], default: 'allow' })).toBeUndefined();
    expect(
      verdict({ rules: [{ action: 'deny', to: [DB], within: ['10.0.0.0/8'] }], default: 'allow' }),
    ).toBeUndefined();
    expect(verdict({ rules: [allow('a.example')] }, undefined)).not.toBeUndefined();
  });
});

it('denies what is no address', () => {
  for (const address of ['', 'localhost', '0177.0.0.1', '10.1', '10.0.0.1.', '[::2]']) {
    expect(policy({ default: 'allow' }).evaluate(to(address))).toEqual({
      allowed: false,
      rule: 'built in: not an IP address',
    });
  }
});
