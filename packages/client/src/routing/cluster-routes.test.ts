import { describe, expect, it } from 'vitest';
import { all, asked, routerOf, rule, ways } from './routing-fixtures.ts';

describe('auto', () => {
  const by = routerOf({ mode: 'auto' }, {}, ['127.0.0.1/8', '192.168.1.20/24', '10.244.7.3/24']);

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

  it('keeps a network that this machine is in direct where it is as narrow as that of the cluster', () => {
    expect(ways(by, ['10.244.7.1', '10.244.8.1'])).toEqual({ '10.244.7.1': 'direct', '10.244.8.1': 'tunnel' });
    expect(by.decide(asked('1.7.244.10.in-addr.arpa')).way).toBe('direct');
    expect(routerOf({ mode: 'auto' }, {}, ['10.96.1.2/12']).decide(asked('10.96.0.1')).way).toBe('direct');
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
      { allowed: ['0.0.0.0/0', '8.0.0.0/7', '10.0.0.0/7', '9.0.0.0/16', '::/0', 'fd00::/15', 'fd10::/16'] },
    );
    expect(wide.inForce.networks).toEqual(['9.0.0.0/16', 'fd10::/16', '10.96.0.10']);
    expect(ways(wide, ['8.8.8.8', '9.0.9.9', 'fd00::1', 'fd10::1'])).toEqual({
      '8.8.8.8': 'direct',
      '9.0.9.9': 'tunnel',
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
    expect(ways(by, ['a.b.svc.cluster.local', 'a.b.svc', 'a.default', '8.8.8.8', 'example.com'])).toEqual({
      'a.b.svc.cluster.local': 'tunnel',
      'a.b.svc': 'tunnel',
      'a.default': 'direct',
      '8.8.8.8': 'direct',
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

describe('of a server that says too much, auto takes', () => {
  it.each(['com', 'dev', 'local', 'localhost', 'co.uk', 'CO.UK.', 'com.au', 'in-addr.arpa', 'arpa', 'a..b'])(
    'no domain %s',
    domain => {
      const by = routerOf({ mode: 'auto' }, { domain });
      expect(by.clusterDomain).toBe('cluster.local');
      expect(ways(by, [`github.${domain}`, 'a.b.svc.cluster.local'])).toEqual({
        [`github.${domain}`]: 'direct',
        'a.b.svc.cluster.local': 'tunnel',
      });
    },
  );

  it.each(['k8s.corp.example', 'cluster', 'Internal.', 'prod.internal'])('a domain %s', domain => {
    const by = routerOf({ mode: 'auto' }, { domain });
    expect(by.clusterDomain).toBe(domain.toLowerCase().replace(/\.$/, ''));
    expect(by.decide(asked(`a.${domain}`)).way).toBe('tunnel');
  });

  it('no namespace that is an internationalized top-level domain', () => {
    const by = routerOf({ mode: 'auto' }, { namespace: 'xn--p1ai' });
    expect(by.decide(asked('bank.xn--p1ai')).way).toBe('direct');
  });

  it('no public network that is wide, nor all of the internet in parts', () => {
    const allowed = Array.from({ length: 222 }, (_, i) => `${i + 1}.0.0.0/8`);
    expect(routerOf({ mode: 'auto' }, { allowed }).inForce.networks).toEqual(['10.0.0.0/8']);
    const ipv6 = ['2600::/16', '2600:1::/47', '64:ff9b::/96', '64:ff9b::/48', 'fd00:1::/32', '2001:db8:1::/48'];
    expect(routerOf({ mode: 'auto' }, { allowed: ipv6, nameservers: [] }).inForce.networks).toEqual([
      'fd00:1::/32',
      '2001:db8:1::/48',
    ]);
  });

  it('sixteen public networks, as of a cluster whose pods have public addresses, and none of more', () => {
    const allowed = Array.from({ length: 16 }, (_, i) => `8.${i}.0.0/16`);
    expect(ways(routerOf({ mode: 'auto' }, { allowed }), ['8.8.8.8', '8.16.0.1'])).toEqual({
      '8.8.8.8': 'tunnel',
      '8.16.0.1': 'direct',
    });
    const by = routerOf({ mode: 'auto' }, { allowed: [...allowed, '10.96.0.0/12'], nameservers: ['9.9.9.9'] });
    expect(by.inForce.networks).toEqual(['10.96.0.0/12']);
    expect(by.decide(asked('8.8.8.8')).way).toBe('direct');
  });

  it('nothing of the link that this machine is in, in whatever parts', () => {
    const allowed = ['192.168.1.0/24', '192.168.1.0/25', '192.168.1.128/25', '192.168.1.1/32', '192.168.1.20'];
    const by = routerOf({ mode: 'auto' }, { allowed, nameservers: ['192.168.1.2'] }, ['192.168.1.20/24']);
    expect(by.inForce.networks).toEqual([]);
    const texts = ['192.168.1.1', '192.168.1.2', '192.168.1.20', '192.168.1.200'];
    expect(ways(by, texts)).toEqual(all(texts, 'direct'));
  });

  it('of a wide network that this machine is in what can be a cluster, and never its own addresses', () => {
    const allowed = ['10.96.0.0/12', '10.96.0.53/32', '10.0.0.1/32', '10.0.0.8/29', '10.1.0.0/28'];
    const by = routerOf({ mode: 'auto' }, { allowed }, ['10.97.3.4/8', 'fd00:10:96::7/64']);
    expect(by.inForce.networks).toEqual(['10.96.0.0/12', '10.1.0.0/28']);
    expect(ways(by, ['10.96.0.53', '10.97.3.4', '10.97.3.5', '10.0.0.1', '10.1.0.1'])).toEqual({
      '10.96.0.53': 'tunnel',
      '10.97.3.4': 'direct',
      '10.97.3.5': 'tunnel',
      '10.0.0.1': 'direct',
      '10.1.0.1': 'tunnel',
    });
  });
});

describe('as long as the server is silent, auto takes', () => {
  it('private addresses that no attached network has through the tunnel, and no longer', () => {
    const by = routerOf({ mode: 'auto' }, undefined, ['192.168.1.20/24', '172.16.0.1/12']);
    const texts = ['10.99.1.1', '192.168.2.1', '100.64.0.1', 'fd00::1'];
    expect(ways(by, texts)).toEqual(all(texts, 'tunnel'));
    const others = [
      '192.168.1.1',
      '192.168.1.20',
      '172.17.0.1',
      '100.128.0.1',
      '169.254.1.1',
      '2001:db8::1',
      '127.0.0.1',
    ];
    expect(ways(by, others)).toEqual(all(others, 'direct'));
    expect(by.decide(asked('10.99.1.1')).because).toBe(
      'auto: 10.0.0.0/8, private, and the server has not said what is its',
    );
    expect([by.inForce.networks, by.clusterNetworks]).toEqual([[], []]);
    by.learn(undefined, 'unknown');
    expect(by.decide(asked('10.99.1.1')).way).toBe('tunnel');
    by.learn(undefined, 'plain');
    expect(ways(by, texts)).toEqual(all(texts, 'direct'));
  });
});
