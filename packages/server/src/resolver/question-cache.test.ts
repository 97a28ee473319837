import { a, cname, reply, type Script, soa, zone } from '@podsocks/shared/dns/fake-dns-fixtures';
import { describe, expect, it } from 'vitest';
import { addressesOf, failing, failureFor, startLab } from './resolver-fixtures.ts';

describe('the cache', () => {
  it.each([
    [30, 30],
    [0, 1],
    [86_400, 300],
    [0xffffffff, 1],
  ])('holds an answer with a TTL of %i s for %i s', async (ttl, held) => {
    const { resolver, server, pass } = await startLab([zone({ web: ['10.0.0.1'] }, ttl)]);
    await resolver.resolve('web', 4);
    pass(held * 1000 - 1);
    expect(resolver.known('web', 4)).toEqual([{ address: '10.0.0.1', family: 4, name: 'web' }]);
    await resolver.resolve('web', 4);
    expect(server.asked).toHaveLength(1);
    pass(1);
    expect(resolver.known('web', 4)).toBeUndefined();
    await resolver.resolve('web', 4);
    expect(server.asked).toHaveLength(2);
  });

  it('holds it no longer than the shortest TTL on the way', async () => {
    const answers = [cname('web', 'db', 7), a('db', '10.0.0.1', 60), a('db', '10.0.0.2', 50)];
    const { resolver, pass } = await startLab([query => reply(query, { answers })]);
    await resolver.resolve('web', 4);
    pass(6999);
    expect(resolver.known('web', 4)).toHaveLength(2);
    pass(1);
    expect(resolver.known('web', 4)).toBeUndefined();
  });

  it('holds it no longer than any answer on the way, where servers leave it to us to follow aliases', async () => {
    const steps: Record<string, [string, number]> = { web: ['b', 60], b: ['c', 9], c: ['d', 40] };
    const script: Script = query => {
      const [next, ttl] = steps[query.name] ?? [];
      return reply(query, {
        answers: [next === undefined ? a(query.name, '10.0.0.1', 50) : cname(query.name, next, ttl)],
      });
    };
    const { resolver, pass } = await startLab([script]);
    await resolver.resolve('web', 4);
    pass(8999);
    expect(resolver.known('web', 4)).toHaveLength(1);
    pass(1);
    expect(resolver.known('web', 4)).toBeUndefined();
  });

  it('holds both families no longer than either, though it is that there is none', async () => {
    const { resolver, pass } = await startLab([zone({ web: ['10.0.0.1'] }, 60)]);
    await resolver.resolve('web');
    pass(4999);
    expect(resolver.known('web')).toHaveLength(1);
    pass(1);
    expect(resolver.known('web')).toBeUndefined();
  });

  it.each([
    [{ ttl: 30, minimum: 5 }, 5],
    [{ ttl: 3, minimum: 5 }, 3],
    [{ ttl: 3600, minimum: 900 }, 30],
  ])('holds that there is none for as long as the SOA says: %j', async (times, held) => {
    const absent: Script = query => reply(query, { rcode: 3, authorities: [soa(times)] });
    const { resolver, server, pass } = await startLab([absent]);
    await failureFor(resolver, 'web', 4);
    pass(held * 1000 - 1);
    expect(await failureFor(resolver, 'web', 4)).toBe('not-found');
    expect(server.asked).toHaveLength(1);
    pass(1);
    server.script = zone({ web: ['10.0.0.1'] });
    expect(await addressesOf(resolver, 'web', 4)).toEqual(['10.0.0.1']);
  });

  it('holds a failure for a second', async () => {
    const { resolver, server, pass } = await startLab([failing]);
    await failureFor(resolver, 'web', 4);
    server.script = zone({ web: ['10.0.0.1'] });
    expect(await failureFor(resolver, 'web', 4)).toBe('server-failed');
    pass(1000);
    expect(await addressesOf(resolver, 'web', 4)).toEqual(['10.0.0.1']);
  });

  it('has one query for all who ask the same at once', async () => {
    const { resolver, server } = await startLab([zone({ web: ['10.0.0.1'] })]);
    await Promise.all(Array.from({ length: 100 }, () => resolver.resolve('web')));
    await Promise.all(Array.from({ length: 100 }, () => resolver.resolve('WEB', 4)));
    expect(server.asked).toHaveLength(2);
    expect(resolver.stats).toMatchObject({ names: 200, latency: { count: 2 } });
  });

  it('does not grow without end', async () => {
    const { resolver } = await startLab([zone({})], { limits: { remembered: 20, queries: 8, waiting: 99 } });
    for (let i = 0; i < 50; i++) await failureFor(resolver, `n${i}`, 4);
    expect(resolver.load.remembered).toBe(20);
  });
});
