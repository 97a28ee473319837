import { targetOf } from '@podsocks/shared/wire/address';
import { describe, expect, it } from 'vitest';
import type { Router } from './router.ts';
import { all, asked, CLUSTER, routerOf, rule, ways } from './routing-fixtures.ts';

describe('all', () => {
  it('sends everything through the tunnel, whatever the rules say', () => {
    const by = routerOf({ mode: 'all', rules: [rule('direct', '*'), rule('reject', 'a.example')] }, {});
    const texts = ['a.example', '10.0.0.1', 'localhost', '127.0.0.1', '::1', 'web.default.svc.cluster.local', '127.1'];
    expect(ways(by, texts)).toEqual(all(texts, 'tunnel'));
    expect(by.isRejected('10.0.0.1', 443)).toBe(false);
    expect(by.inForce).toEqual({ mode: 'all', domains: [], networks: [] });
  });
});

describe('rules', () => {
  it('go in their order, and then by the default', () => {
    const rules = [rule('direct', '10.5.0.0/16'), rule('tunnel', '10.0.0.0/8:443'), rule('reject', '10.0.0.0/8')];
    const by = routerOf({ mode: 'rules', rules, default: 'direct' }, {});
    expect(ways(by, ['10.5.1.1', '10.6.1.1', '10.6.1.1:80', 'a.b.svc.cluster.local'])).toEqual({
      '10.5.1.1': 'direct',
      '10.6.1.1': 'tunnel',
      '10.6.1.1:80': 'reject',
      'a.b.svc.cluster.local': 'direct',
    });
    expect(by.inForce).toEqual({ mode: 'rules', domains: [], networks: [] });
    expect(by.decide(asked('192.0.2.1'))).toEqual({
      way: 'direct',
      target: asked('192.0.2.1'),
      because: 'no rule applies',
    });
  });

  it('take an address for one however it is asked for', () => {
    const by = routerOf({ mode: 'rules', rules: [rule('reject', '10.0.0.0/8'), rule('reject', 'fd00::/8')] });
    const way = (host: string) => by.decide({ type: 'name', host, port: 1 }).way;
    const spellings = ['10.0.0.1', '::ffff:10.0.0.1', '[::ffff:a00:1]', 'fd00::1', '[FD00::1]', 'fd00::1%eth0'];
    expect(spellings.map(way)).toEqual(spellings.map(() => 'reject'));
  });

  it('reject the addresses that direct names lead to', () => {
    const rules = [rule('direct', '10.5.0.0/16'), rule('reject', '10.0.0.0/8:443'), rule('reject', 'a.example')];
    const by = routerOf({ mode: 'rules', rules, default: 'direct' });
    expect(by.isRejected('10.6.0.1', 443)).toBe(true);
    expect(by.isRejected('::ffff:10.6.0.1', 443)).toBe(true);
    expect(by.isRejected('10.6.0.1', 80)).toBe(false);
    expect(by.isRejected('10.5.0.1', 443)).toBe(false);
    expect(by.isRejected('192.0.2.1', 443)).toBe(false);
  });
});

describe('without a mode', () => {
  const known = { ...CLUSTER };

  it('is all until the server says what its cluster is, and then auto', () => {
    const by = routerOf({});
    expect(by.inForce.mode).toBe('all');
    expect(by.decide(asked('example.com')).way).toBe('tunnel');
    expect(by.learn(known, 'podsocks')).toBe(true);
    expect(by.inForce.mode).toBe('auto');
    expect(by.decide(asked('example.com')).way).toBe('direct');
  });

  it('awaits what decides until a server shows what it is, be it a plain one', () => {
    const by = routerOf({});
    expect(by.awaitsServer).toBe(true);
    by.learn(undefined, 'unknown');
    expect(by.awaitsServer).toBe(true);
    by.learn(undefined, 'plain');
    expect(by.awaitsServer).toBe(false);
    expect((['auto', 'all', 'rules'] as const).map(mode => routerOf({ mode }).awaitsServer)).toEqual([
      true,
      false,
      false,
    ]);
    expect(routerOf({ mode: 'auto' }, CLUSTER).awaitsServer).toBe(false);
  });

  it('unlearns nothing from silence, and says what is new', () => {
    const by = routerOf({});
    by.learn(known, 'podsocks');
    expect(by.learn(undefined, 'unknown')).toBe(false);
    expect(by.learn({ ...known }, 'podsocks')).toBe(false);
    expect(by.decide(asked('example.com')).way).toBe('direct');
    expect(by.learn({ ...known, allowed: [] }, 'podsocks')).toBe(true);
    expect(by.decide(asked('10.244.1.2')).way).toBe('direct');
  });

  it('is all with a plain server, and one that knows of no cluster', () => {
    const by = routerOf({});
    by.learn(known, 'podsocks');
    by.learn(undefined, 'plain');
    expect([by.inForce.mode, by.decide(asked('example.com')).way]).toEqual(['all', 'tunnel']);
    const { domain: _, ...nowhere } = known;
    for (const allowed of [[], ['0.0.0.0/0', 'junk']]) {
      by.learn({ ...nowhere, allowed }, 'podsocks');
      expect(by.decide(asked('example.com')).way).toBe('tunnel');
    }
    by.learn({ ...nowhere, allowed: ['10.96.0.0/12'] }, 'podsocks');
    expect(ways(by, ['example.com', '10.96.0.1'])).toEqual({ 'example.com': 'direct', '10.96.0.1': 'tunnel' });
  });

  it('asks the rules first in either case', () => {
    const by = routerOf({ rules: [rule('direct', 'a.example'), rule('reject', 'b.example')] });
    const texts = ['a.example', 'b.example', 'c.example'];
    expect(Object.values(ways(by, texts))).toEqual(['direct', 'reject', 'tunnel']);
    expect(by.inForce.mode).toBe('rules');
    by.learn(known, 'podsocks');
    expect(Object.values(ways(by, texts))).toEqual(['direct', 'reject', 'direct']);
  });
});

describe('a namespace', () => {
  const settings = { namespaces: ['payments', 'orders'] };
  const target = (by: Router, text: string) => by.decide(asked(text)).target;

  it.each(['auto', 'all', 'rules'] as const)('completes names without dots in %s', mode => {
    const by = routerOf({ ...settings, mode }, { domain: 'k8s.example' });
    expect(by.decide(asked('Redis:6379'))).toMatchObject({
      way: 'tunnel',
      target: { type: 'name', host: 'redis.payments.svc.k8s.example', port: 6379 },
    });
    expect(by.decide(asked('redis:1')).target.port).toBe(1);
    expect(by.inForce.namespace).toBe('payments');
  });

  it('leaves all other names as they are', () => {
    const by = routerOf({ ...settings, mode: 'auto' }, {});
    for (const text of [
      'redis.',
      'localhost',
      'db.orders',
      'db.payments',
      'a.b.c',
      '10.96.0.1',
      'fd00:10:96::1',
      'A.B.svc',
    ]) {
      expect(target(by, text)).toEqual(asked(text));
    }
    expect(ways(by, ['db.orders', 'db.payments', 'db.other'])).toEqual({
      'db.orders': 'tunnel',
      'db.payments': 'tunnel',
      'db.other': 'direct',
    });
  });

  it('is cluster.local as long as nothing else is known', () => {
    expect(target(routerOf({ ...settings, mode: 'auto' }), 'redis').host).toBe('redis.payments.svc.cluster.local');
  });

  it('does not complete what goes directly', () => {
    const by = routerOf({ ...settings, mode: 'auto', rules: [rule('direct', 'nas')] }, {});
    expect(by.decide(asked('nas'))).toEqual({ way: 'direct', target: asked('nas'), because: '--direct nas' });
  });

  it('asks the rules for the name as given, and then as completed', () => {
    const rules = [rule('tunnel', 'redis'), rule('reject', '*.payments.svc.cluster.local')];
    const by = routerOf({ ...settings, mode: 'auto', rules }, {});
    expect(by.decide(asked('redis'))).toMatchObject({
      way: 'tunnel',
      target: { host: 'redis.payments.svc.cluster.local' },
    });
    expect(by.decide(asked('db')).way).toBe('reject');
  });
});

it('decides for each port of a host by itself, as often as it is asked', () => {
  const by = routerOf({ mode: 'rules', rules: [rule('reject', ':25'), rule('direct', ':53')] });
  for (let i = 0; i < 3; i++) {
    expect([25, 53, 80].map(port => by.decide(targetOf('a.example', port)).way)).toEqual([
      'reject',
      'direct',
      'tunnel',
    ]);
  }
});

it('takes a forward directly in no case, but rejects and completes it', () => {
  const rules = [rule('reject', ':25'), rule('direct', 'nas.example')];
  const by = routerOf({ mode: 'auto', rules, namespaces: ['payments'] }, {});
  const decided = ['nas.example', 'other.example', 'web.default.svc', 'mail.example:25'].map(text =>
    by.decideForward(asked(text)),
  );
  expect(decided.map(({ way }) => way)).toEqual(['tunnel', 'tunnel', 'tunnel', 'reject']);
  expect(by.decideForward(asked('db')).target.host).toBe('db.payments.svc.cluster.local');
});

it('remembers what was decided, and no more than it may', () => {
  const by = routerOf({ mode: 'auto' }, {});
  const first = by.decide(asked('a.b.svc'));
  expect(by.decide(asked('a.b.svc'))).toBe(first);
  for (let i = 0; i < 1024; i++) by.decide(asked(`n${i}.example`));
  expect(by.decide(asked('a.b.svc'))).not.toBe(first);
  expect(by.decide(asked('a.b.svc'))).toEqual(first);
});
