import { a, cname, reply, type Script, zone } from '@podsocks/shared/dns/fake-dns-fixtures';
import { describe, expect, it } from 'vitest';
import type { Resolver } from './resolver.ts';
import { addressesOf, failing, failureFor, silent, startLab } from './resolver-fixtures.ts';

describe('addresses', () => {
  it('are those of both families, asked at once, in turn', async () => {
    const { resolver, server } = await startLab([zone({ web: ['10.0.0.1', '10.0.0.2', 'fd00::1'] })]);
    const found = await resolver.resolve('web');
    expect(found.map(({ family }) => family)).toEqual([4, 6, 4]);
    expect(new Set(found.map(({ address }) => address))).toEqual(new Set(['10.0.0.1', '10.0.0.2', 'fd00::1']));
    expect(server.asked.map(({ type }) => type).sort()).toEqual(['A', 'AAAA']);
  });

  it('begin with IPv6 if that is wanted, or nothing else can leave', async () => {
    const web = zone({ web: ['10.0.0.1', 'fd00::1'] });
    const first = async (options: object) => (await addressesOf((await startLab([web], options)).resolver, 'web'))[0];
    expect(await first({ ipv6First: true })).toBe('fd00::1');
    expect(await first({ usable: (family: number) => family === 6 })).toBe('fd00::1');
    expect(await first({ ipv6First: true, usable: (family: number) => family === 4 })).toBe('10.0.0.1');
    expect(await first({ usable: () => false })).toBe('10.0.0.1');
  });

  it('are of one family where one is asked for', async () => {
    const { resolver, server } = await startLab([zone({ web: ['10.0.0.1', 'fd00::1'] })]);
    expect(await addressesOf(resolver, 'web', 6)).toEqual(['fd00::1']);
    expect(server.asked.map(({ type }) => type)).toEqual(['AAAA']);
  });

  it('take turns in being the first, for resolve but not for known', async () => {
    const { resolver } = await startLab([zone({ web: ['10.0.0.1', '10.0.0.2', '10.0.0.3'] })]);
    const firsts = [];
    const known = [];
    for (let i = 0; i < 6; i++) {
      firsts.push((await resolver.resolve('web'))[0]!.address);
      known.push(knownOf(resolver, 'web')![0]);
    }
    expect(new Set(firsts.slice(0, 3)).size).toBe(3);
    expect(firsts.slice(3)).toEqual(firsts.slice(0, 3));
    expect(new Set(known).size).toBe(1);
  });

  it('come without the other family when its answer is lost', async () => {
    const v4only: Script = query =>
      query.type === 'A' ? reply(query, { answers: [a('web', '10.0.0.1')] }) : undefined;
    const { resolver } = await startLab([v4only], { timeout: 5000 });
    expect(await addressesOf(resolver, 'web')).toEqual(['10.0.0.1']);
  });

  it('come without the other family when a server fails for it', async () => {
    const { resolver } = await startLab([
      query => (query.type === 'A' ? zone({ web: ['1.2.3.4'] })(query) : failing(query)),
    ]);
    expect(await addressesOf(resolver, 'web')).toEqual(['1.2.3.4']);
  });

  it('are found through CNAMEs, in one answer and over several', async () => {
    const { resolver } = await startLab([zone({ db: ['-> db.example.com'], 'db.example.com': ['192.0.2.7'] })]);
    expect(await addressesOf(resolver, 'DB')).toEqual(['192.0.2.7']);
    const stepwise: Script = query => {
      const step = Number(query.name.slice(1));
      const answers = step === 9 ? [a('n9', '192.0.2.9')] : [cname(query.name, `N${step + 1}`)];
      return reply(query, { answers: query.type === 'A' || step < 9 ? answers : [] });
    };
    const { resolver: other, server } = await startLab([stepwise]);
    expect(await addressesOf(other, 'n1')).toEqual(['192.0.2.9']);
    expect(server.asked).toHaveLength(18);
  });
});

describe('texts that need no server', () => {
  const nowhere = () =>
    startLab([silent], {
      hostsText: '10.1.1.1 Pod pod-alias\nfd00::7 pod\n6.6.6.6 localhost\n127.0.0.2 x.localhost\n',
    });

  it.each([
    ['10.0.0.1', ['10.0.0.1']],
    ['FD00:0::1', ['fd00::1']],
    ['[::1]', ['::1']],
    ['localhost', ['127.0.0.1', '::1']],
    ['a.LOCALHOST.', ['127.0.0.1', '::1']],
    ['x.localhost', ['127.0.0.2']],
    ['pod', ['10.1.1.1', 'fd00::7']],
    ['POD-ALIAS', ['10.1.1.1']],
  ])('%s', async (name, addresses) => {
    const { resolver, server } = await nowhere();
    expect(await addressesOf(resolver, name)).toEqual(addresses);
    expect(knownOf(resolver, name)).toEqual(addresses);
    expect(server.asked).toEqual([]);
  });

  it('that are missing are known to be', async () => {
    const { resolver } = await startLab([zone({})]);
    expect(resolver.known('nosuch')).toBeUndefined();
    await expect(resolver.resolve('nosuch')).rejects.toThrow('no such name');
    expect(resolver.known('nosuch')).toBe('not-found');
  });

  it.each(['', '.', 'a..b', '.a', 'a b', 'bücher.example', '１２７．１', 'a'.repeat(64), 'fe80::1%eth0', 'a/b', '\0'])(
    '%j is no name',
    async name => {
      const { resolver, server } = await nowhere();
      await expect(resolver.resolve(name)).rejects.toMatchObject({ code: 'ERR_DIAL', cause: { code: 'ENOTFOUND' } });
      expect(server.asked).toEqual([]);
    },
  );

  it.each(['0', '127.1', '0x7f000001', '017700000001', '2130706433', '127.0.0.01', '256.1.1.1'])(
    '%s is no address: if anything, a name',
    async name => {
      const { resolver, server } = await startLab([zone({})]);
      expect(await failureFor(resolver, name)).toBe('not-found');
      expect(server.asked.every(asked => asked.name === name)).toBe(true);
    },
  );

  it('an address of the other family is none', async () => {
    const { resolver } = await nowhere();
    expect(await failureFor(resolver, '10.0.0.1', 6)).toBe('no-address');
  });
});

describe('failures', () => {
  it('are told apart', async () => {
    const { resolver, server } = await startLab([zone({ v4: ['10.0.0.1'], none: [] })], { timeout: 500 });
    expect(await failureFor(resolver, 'nosuch')).toBe('not-found');
    expect(await failureFor(resolver, 'v4', 6)).toBe('no-address');
    expect(await failureFor(resolver, 'none')).toBe('no-address');
    server.script = failing;
    expect(await failureFor(resolver, 'other')).toBe('server-failed');
    server.script = silent;
    expect(await failureFor(resolver, 'third')).toBe('timed-out');
    expect(resolver.stats.failures).toMatchObject({
      'not-found': 1,
      'no-address': 2,
      'server-failed': 1,
      'timed-out': 1,
    });
    expect(resolver.load).toMatchObject({ queries: 0, waiting: 0 });
  });

  it('say which server said what', async () => {
    const { resolver, server } = await startLab([failing]);
    await expect(resolver.resolve('web')).rejects.toThrow(
      `web: the DNS servers failed (127.0.0.1:${server.at.port}: SERVFAIL)`,
    );
  });

  it('a server that is not there fails at once', async () => {
    const { resolver, server } = await startLab([silent], { timeout: 10_000 });
    server.close();
    server.close = () => {};
    expect(await failureFor(resolver, 'web')).toBe('server-failed');
  });

  it('more than there is room for is refused, and the rest waits in turn', async () => {
    const limits = { queries: 2, waiting: 2, remembered: 100 };
    const { resolver, server } = await startLab([zone({ a: ['1.1.1.1'], b: ['1.1.1.2'] })], { limits });
    const results = await Promise.all(['a', 'b', 'c'].map(name => failureFor(resolver, name, undefined)));
    expect(results[2]).toBe('busy');
    expect(results.slice(0, 2).flat()).toHaveLength(2);
    expect(server.asked).toHaveLength(4);
    expect(await failureFor(resolver, 'c')).toBe('not-found');
  });

  it('closing ends all at once', async () => {
    const { resolver } = await startLab([silent], {
      timeout: 10_000,
      limits: { queries: 2, waiting: 10, remembered: 9 },
    });
    const asked = ['a', 'b', 'c'].map(name => failureFor(resolver, name));
    await expect.poll(() => resolver.load.waiting).toBe(4);
    resolver.close();
    expect(await Promise.all(asked)).toEqual(['closed', 'closed', 'closed']);
    expect(await failureFor(resolver, 'a')).toBe('closed');
    expect(resolver.load).toMatchObject({ queries: 0, waiting: 0 });
  });
});

describe('files', () => {
  it('are read again when they change', async () => {
    const { resolver, server, pass, writeHosts, writeResolvConf } = await startLab([
      zone({ 'web.a': ['10.0.0.1'], 'web.b': ['10.0.0.2'] }),
    ]);
    writeResolvConf('search a\n');
    pass(1001);
    expect(await addressesOf(resolver, 'web')).toEqual(['10.0.0.1']);
    writeResolvConf('search b # another\n');
    pass(500);
    expect(await addressesOf(resolver, 'web')).toEqual(['10.0.0.1']);
    pass(501);
    expect(await addressesOf(resolver, 'web')).toEqual(['10.0.0.2']);
    const queries = server.asked.length;
    writeHosts('10.9.9.9 web');
    pass(1001);
    expect(resolver.known('web')).toEqual([{ address: '10.9.9.9', family: 4 }]);
    expect(await addressesOf(resolver, 'web')).toEqual(['10.9.9.9']);
    expect(server.asked).toHaveLength(queries);
  });

  it('need not be there', async () => {
    const { resolver } = await startLab([zone({ web: ['10.0.0.1'] })], { hosts: '/nowhere/hosts', resolvConf: '/' });
    expect(await addressesOf(resolver, 'web')).toEqual(['10.0.0.1']);
  });
});

it('query gives other records', async () => {
  const data = { priority: 0, weight: 50, port: 8080, target: 'web-0.web' };
  const { resolver } = await startLab([
    query => reply(query, { answers: [{ type: 'SRV', name: query.name, ttl: 5, data }] }),
  ]);
  const { answers } = await resolver.query('_http._tcp.web.', 'SRV');
  expect(answers).toEqual([{ name: '_http._tcp.web', type: 'SRV', ttl: 5, data }]);
});

function knownOf(resolver: Resolver, name: string): string[] | undefined {
  const known = resolver.known(name);
  return typeof known === 'object' ? known.map(({ address }) => address) : undefined;
}
