import { describe, expect, it } from 'vitest';
import { all, asked, routerOf, rule, ways } from './routing-fixtures.ts';

describe('auto', () => {
  const by = routerOf({ mode: 'auto' }, {}, ['127.0.0.1/8', '192.168.1.20/24', '10.244.7.3/24', '10.96.0.0/12']);

  it("sends what is the cluster's through the tunnel", () => {
    const texts = [
      'web.default.svc.cluster.local',
      'WEB.default.svc.Cluster.Local.',
      'cluster.local',
      '10-244-1-2.default.pod.cluster.local',
      'web.default.svc',
      'info.podsocks.internal:80',
      'api.default',
      'kube-dns.kube-system',
      'web.podsocks-1',
      '10.96.0.1',
      '10.111.255.255',
      '10.244.1.2',
      '::ffff:10.244.1.2',
      'fd00:10:96::a',
      '10.0.96.10.in-addr.arpa',
      '1.0.96.10.in-addr.arpa.',
      `a.0.${'0.'.repeat(18)}6.9.0.0.0.1.0.0.0.0.d.f.ip6.arpa`,
    ];
    expect(ways(by, texts)).toEqual(all(texts, 'tunnel'));
  });

  it('sends all else directly', () => {
    const texts = [
      'example.com',
      'xcluster.local',
      'cluster.local.example.com',
      'svc',
      'web.default.svc.example',
      'api.default.',
      'a.b.default',
      'redis',
      '10.112.0.0',
      '10.245.0.1',
      '11.96.0.10',
      'fd00:10:97::a',
      '2001:db8::1',
      '1.2.3.4.in-addr.arpa',
      '10.96.0.10.example',
      'x.in-addr.arpa',
      '127.1',
      'not a name',
      'bücher.example',
      'podsocks-1',
    ];
    expect(ways(by, texts)).toEqual(all(texts, 'direct'));
  });

  it('keeps this machine and its link direct, even where the server allows them', () => {
    const wide = routerOf(
      { mode: 'auto' },
      { allowed: ['127.0.0.0/8', '169.254.0.0/16', '::1', 'fe80::/10', '10.0.0.0/8'] },
    );
    const texts = [
      'localhost',
      'a.localhost',
      'LOCALHOST.',
      '127.0.0.1',
      '127.9.9.9',
      '::1',
      '169.254.1.1',
      'fe80::1',
      'febf::1',
    ];
    expect(ways(wide, texts)).toEqual(all(texts, 'direct'));
    expect(wide.decide(asked('fe80::1%eth0')).way).toBe('direct');
    expect(wide.inForce.networks).toEqual(['10.0.0.0/8']);
    expect(ways(routerOf({ mode: 'auto' }, { domain: 'localhost' }), texts)).toEqual(all(texts, 'direct'));
  });

  it('keeps a network that this machine is in direct where it is narrower than that of the cluster', () => {
    expect(ways(by, ['10.244.7.1', '10.244.8.1'])).toEqual({ '10.244.7.1': 'direct', '10.244.8.1': 'tunnel' });
    expect(by.decide(asked('1.7.244.10.in-addr.arpa')).way).toBe('direct');
    // Of two alike, the cluster's.
    expect(by.decide(asked('10.96.0.1')).way).toBe('tunnel');
  });

  it('goes by the narrowest of its networks that lie in each other', () => {
    for (const allowed of [
      ['10.0.0.0/8', '10.244.0.0/16'],
      ['10.244.0.0/16', '10.0.0.0/8'],
    ]) {
      const nested = routerOf({ mode: 'auto' }, { allowed }, ['10.240.0.0/12']);
      expect(ways(nested, ['10.244.0.1', '10.245.0.1', '10.1.0.1'])).toEqual({
        '10.244.0.1': 'tunnel',
        '10.245.0.1': 'direct',
        '10.1.0.1': 'tunnel',
      });
    }
  });

  it('learns the networks of this machine anew', () => {
    const moving = routerOf({ mode: 'auto' }, {});
    expect(moving.decide(asked('10.244.7.1')).way).toBe('tunnel');
    moving.attach(['10.244.7.3/24']);
    expect(moving.decide(asked('10.244.7.1')).way).toBe('direct');
    moving.attach([]);
    expect(moving.decide(asked('10.244.7.1')).way).toBe('tunnel');
  });

  it('does not take networks for those of the cluster that are too wide to be', () => {
    const wide = routerOf(
      { mode: 'auto' },
      { allowed: ['0.0.0.0/0', '8.0.0.0/7', '9.0.0.0/8', '::/0', 'fd00::/15', 'fd10::/16'] },
    );
    expect(wide.inForce.networks).toEqual(['9.0.0.0/8', 'fd10::/16', '10.96.0.10']);
    expect(ways(wide, ['8.8.8.8', '9.9.9.9', 'fd00::1', 'fd10::1'])).toEqual({
      '8.8.8.8': 'direct',
      '9.9.9.9': 'tunnel',
      'fd00::1': 'direct',
      'fd10::1': 'tunnel',
    });
  });

  it('sends the DNS servers of the cluster through the tunnel, with a port or not', () => {
    const nameservers = ['192.0.2.53', '192.0.2.54:5353', '[2001:db8::53]:54', '127.0.0.1', 'junk//', '10.96.0.10'];
    const by = routerOf({ mode: 'auto' }, { nameservers });
    const texts = ['192.0.2.53:53', '192.0.2.54:53', '2001:db8::53'];
    expect(ways(by, texts)).toEqual(all(texts, 'tunnel'));
    expect(by.inForce.networks.slice(3)).toEqual(['192.0.2.53', '192.0.2.54', '2001:db8::53']);
  });

  it('knows cluster.local and .svc before anything is known', () => {
    const by = routerOf({ mode: 'auto' });
    expect(ways(by, ['a.b.svc.cluster.local', 'a.b.svc', 'a.default', '10.96.0.10', 'example.com'])).toEqual({
      'a.b.svc.cluster.local': 'tunnel',
      'a.b.svc': 'tunnel',
      'a.default': 'direct',
      '10.96.0.10': 'direct',
      'example.com': 'direct',
    });
    expect(by.inForce).toEqual({ mode: 'auto', domains: ['cluster.local', 'svc'], networks: [] });
  });

  it('goes by the domain that the server has', () => {
    const by = routerOf({ mode: 'auto' }, { domain: 'k8s.corp.example' });
    expect(ways(by, ['a.b.svc.k8s.corp.example', 'a.b.svc.cluster.local', 'corp.example'])).toEqual({
      'a.b.svc.k8s.corp.example': 'tunnel',
      'a.b.svc.cluster.local': 'direct',
      'corp.example': 'direct',
    });
  });

  it('does not take a top-level domain for the namespace of the server', () => {
    const by = routerOf({ mode: 'auto' }, { namespace: 'dev' });
    expect(by.decide(asked('web.dev')).way).toBe('direct');
    expect(routerOf({ mode: 'auto', namespaces: ['dev'] }, { namespace: 'dev' }).decide(asked('web.dev')).way).toBe(
      'tunnel',
    );
  });

  it('asks the rules first', () => {
    const by = routerOf(
      { mode: 'auto', rules: [rule('direct', '10.96.0.1'), rule('reject', ':25'), rule('tunnel', '*.corp.example')] },
      {},
    );
    expect(ways(by, ['10.96.0.1', '10.96.0.2', '10.96.0.2:25', 'a.corp.example', 'example.com'])).toEqual({
      '10.96.0.1': 'direct',
      '10.96.0.2': 'tunnel',
      '10.96.0.2:25': 'reject',
      'a.corp.example': 'tunnel',
      'example.com': 'direct',
    });
  });

  it('says why', () => {
    const by = routerOf({ mode: 'auto', rules: [rule('reject', ':25')], namespaces: ['payments'] }, {});
    const because = (text: string) => by.decide(asked(text)).because;
    expect(
      ['a.b.svc.cluster.local', 'a.b.svc', 'a.default', 'redis', '10.97.0.1', 'x:25', 'x.example'].map(because),
    ).toEqual([
      'auto: *.cluster.local',
      'auto: *.svc',
      'auto: *.default',
      'auto: *.payments.svc.cluster.local',
      'auto: 10.96.0.0/12',
      '--reject :25',
      'auto: not of the cluster',
    ]);
  });
});
