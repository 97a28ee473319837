import { a, type FakeDns, reply, type Script, zone } from '@podsocks/shared/dns/fake-dns-fixtures';
import type { Endpoint } from '@podsocks/shared/net/listener';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { describe, expect, it } from 'vitest';
import { ClusterUpstream } from './cluster-upstream.ts';
import { fakeServer, fakeTunnel, queryFor, said } from './dns-fixtures.ts';
import { answerFor } from './raw-answer.ts';

const WEB = 'web.cluster.local';
const good = zone({ [WEB]: ['10.96.0.7'], 'db.cluster.local': ['10.96.0.8'] });
const silent: Script = () => undefined;

/** Servers of a cluster behind a tunnel, on a clock of the test's. */
async function startUpstream(...scripts: Script[]) {
  const servers = await Promise.all(scripts.map(fakeServer));
  const tunnel = fakeTunnel();
  const clock = { time: 1_000_000 };
  let endpoints: readonly Endpoint[] = servers.map(({ at }) => at);
  const upstream = new ClusterUpstream({
    openStream: tunnel.openStream,
    servers: () => endpoints,
    obstacle: () => 'nobody names one',
    now: () => clock.time,
  });
  const ask = async (name = WEB) => {
    const query = queryFor(name);
    return said(answerFor(query, await upstream.ask(query), 0, 0xffff));
  };
  return {
    upstream,
    ask,
    tunnel,
    servers,
    clock,
    serve: (...those: FakeDns[]) => {
      endpoints = those.map(({ at }) => at);
    },
  };
}

describe('a connection to the cluster’s DNS', () => {
  it('serves one question after the other', async () => {
    const { ask, tunnel } = await startUpstream(good);
    for (const name of [WEB, 'db.cluster.local', WEB]) await ask(name);
    expect(tunnel.opened).toHaveLength(1);
  });

  it('serves many at once, whose answers come in any order', async () => {
    const held: Buffer[] = [];
    const { ask, tunnel } = await startUpstream(query => {
      held.unshift(reply(query, { answers: [a(query.name, '10.0.0.1')] }));
      return held.length === 20 ? held : undefined;
    });
    const names = Array.from({ length: 20 }, (_, i) => `n${i}.cluster.local`);
    expect(await Promise.all(names.map(ask))).toEqual(names.map(name => [`${name} A 10.0.0.1`]));
    expect(tunnel.opened).toHaveLength(1);
  });

  it('is opened once for all who wait for it', async () => {
    const { ask, tunnel } = await startUpstream(good);
    await Promise.all(Array.from({ length: 10 }, () => ask()));
    expect(tunnel.opened).toHaveLength(1);
  });

  it('is left for another after a hundred questions, and closed after their answers', async () => {
    const { ask, tunnel } = await startUpstream(good);
    await Promise.all(Array.from({ length: 99 }, () => ask()));
    expect(tunnel.opened).toHaveLength(1);
    await ask();
    expect(tunnel.opened[0]!.stream.destroyed).toBe(true);
    await ask();
    expect(tunnel.opened).toHaveLength(2);
  });

  it('that ended is replaced', async () => {
    const { ask, tunnel } = await startUpstream(good);
    await ask();
    tunnel.opened[0]!.stream.destroy();
    expect(await ask()).toEqual([`${WEB} A 10.96.0.7`]);
    expect(tunnel.opened).toHaveLength(2);
  });

  it('that ends while it is asked is replaced, and the question asked again', async () => {
    let asked = 0;
    const { ask, tunnel, servers } = await startUpstream(query => {
      if (++asked > 1) return good(query);
      for (const { stream } of tunnel.opened) stream.destroy();
      return undefined;
    });
    expect(await ask()).toEqual([`${WEB} A 10.96.0.7`]);
    expect([tunnel.opened.length, servers[0]!.asked.length]).toEqual([2, 2]);
  });

  it('that is silent for a second keeps nobody else waiting', async () => {
    const { ask, tunnel, servers, clock } = await startUpstream(query =>
      query.name === WEB ? undefined : good(query),
    );
    const stuck = ask();
    stuck.catch(() => {});
    await expect.poll(() => servers[0]!.asked.length).toBe(1);
    clock.time += 999;
    await ask('db.cluster.local');
    expect(tunnel.opened).toHaveLength(1);
    clock.time += 1;
    await ask('db.cluster.local');
    expect(tunnel.opened).toHaveLength(2);
  });

  it('to a server that is none any more is closed', async () => {
    const { ask, tunnel, servers, serve } = await startUpstream(good, good);
    const [first, second] = servers;
    serve(first!);
    await ask();
    serve(second!);
    await ask();
    expect(tunnel.opened.map(({ target, stream }) => [target.port, stream.destroyed])).toEqual([
      [first!.at.port, true],
      [second!.at.port, false],
    ]);
  });

  it('may be to a server with a name', async () => {
    const { upstream, tunnel, serve } = await startUpstream(good);
    serve({ at: { host: 'kube-dns.kube-system', port: 53 } } as FakeDns);
    tunnel.before = () => Promise.reject(new PodsocksError('ERR_DIAL', 'no way'));
    await expect(upstream.ask(queryFor(WEB))).rejects.toThrow('kube-dns.kube-system:53: no way');
  });
});

describe('a question', () => {
  it('goes to the next server if the first cannot be reached, and for a while there at once', async () => {
    const { ask, tunnel, servers, clock } = await startUpstream(good, good);
    const tried: number[] = [];
    tunnel.before = async ({ port }) => {
      tried.push(port);
      if (port === servers[0]!.at.port) throw new PodsocksError('ERR_DIAL', 'connection refused');
    };
    const [first, second] = servers.map(({ at }) => at.port);
    expect(await ask()).toEqual([`${WEB} A 10.96.0.7`]);
    expect(tried).toEqual([first, second]);
    await ask();
    expect(tried).toEqual([first, second]);
    clock.time += 10_000;
    await ask();
    expect(tried).toEqual([first, second, first]);
  });

  it.each<[string, Script]>([
    ['SERVFAIL', query => reply(query, { rcode: 2 })],
    ['REFUSED', query => reply(query, { rcode: 5 })],
    ['what nobody asked', query => reply({ ...query, id: query.id ^ 1 })],
    ['another name', query => reply({ ...query, name: 'x' })],
    ['a truncated answer', query => reply(query, { truncated: true })],
    ['half an answer', query => Buffer.from(good(query) as Buffer).subarray(0, -2)],
  ])('to which the first says %s goes to the next', async (_, script) => {
    const { ask, servers } = await startUpstream(script, good);
    expect(await ask()).toEqual([`${WEB} A 10.96.0.7`]);
    expect(servers.map(({ asked }) => asked.length)).toEqual([1, 1]);
  });

  it('to which the only one says SERVFAIL is not asked again', async () => {
    const { upstream, servers } = await startUpstream(query => reply(query, { rcode: 2 }));
    expect(await upstream.ask(queryFor(WEB))).toMatchObject({ rcode: 2 });
    expect(servers[0]!.asked).toHaveLength(1);
  });

  it('that all fail has what they say', async () => {
    const { upstream } = await startUpstream(
      query => reply(query, { rcode: 5 }),
      query => reply(query, { rcode: 2 }),
    );
    expect(await upstream.ask(queryFor(WEB))).toMatchObject({ rcode: 2 });
  });

  it('without an answer is given up, and the connection with it', async () => {
    const { upstream, servers, tunnel } = await startUpstream(silent);
    await expect(upstream.ask(queryFor(WEB))).rejects.toMatchObject({
      code: 'ERR_DIAL',
      message: expect.stringMatching(/^127\.0\.0\.1:\d+: no answer within 2\.25 s$/),
    });
    expect(servers[0]!.asked).toHaveLength(2);
    expect(tunnel.opened.map(({ stream }) => stream.destroyed)).toEqual([true, true]);
  });

  it('is given up when the tunnel does not open, which hears of it', async () => {
    const { upstream, tunnel } = await startUpstream(good);
    let given = 0;
    tunnel.before = (_, signal) =>
      new Promise((_resolve, reject) => {
        signal!.addEventListener('abort', () => {
          given++;
          reject(new PodsocksError('ERR_CLOSED', 'given up'));
        });
      });
    await expect(upstream.ask(queryFor(WEB))).rejects.toThrow(/no connection within 2\.25 s/);
    expect(given).toBe(2);
  });

  it('fails when it is closed', async () => {
    const { upstream, tunnel } = await startUpstream(silent);
    const asked = upstream.ask(queryFor(WEB));
    asked.catch(() => {});
    await expect.poll(() => tunnel.opened.length).toBe(1);
    upstream.close();
    tunnel.before = () => Promise.reject(new PodsocksError('ERR_CLOSED', 'closed'));
    await expect(asked).rejects.toMatchObject({ code: 'ERR_DIAL' });
    expect(tunnel.opened[0]!.stream.destroyed).toBe(true);
  });
});
