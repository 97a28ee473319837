import { reply, type Script, zone } from '@podsocks/shared/dns/fake-dns-fixtures';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { addressesOf, failing, failureFor, silent, startLab } from './resolver-fixtures.ts';

describe('servers', () => {
  it('a dead first one costs one time-out, for all names', async () => {
    const known = zone(Object.fromEntries(Array.from({ length: 10 }, (_, i) => [`n${i}`, [`10.0.0.${i}`]])));
    const { resolver, servers } = await startLab([silent, known], { timeout: 800 });
    for (let i = 0; i < 10; i++) expect(await addressesOf(resolver, `n${i}`)).toEqual([`10.0.0.${i}`]);
    // And whether it answers at all, for each of the two that timed out.
    expect(servers[0]!.asked.map(({ name }) => name)).toEqual(['n0', 'n0', 'localhost', 'localhost']);
    expect(resolver.stats.failovers).toBe(2);
  });

  it('a dead one is asked again after a while', async () => {
    const web = zone({ a: ['10.0.0.1'], b: ['10.0.0.2'] });
    const { resolver, servers, pass } = await startLab([silent, web], { timeout: 800 });
    await resolver.resolve('a');
    servers[0]!.script = web;
    pass(31_000);
    await resolver.resolve('b');
    expect(servers[0]!.asked.filter(({ name }) => name === 'b')).toHaveLength(2);
    expect(servers[1]!.asked.filter(({ name }) => name === 'b')).toHaveLength(0);
  });

  it.each([2, 4, 5, 9])('the next one is asked after RCODE %i', async rcode => {
    const { resolver } = await startLab([query => reply(query, { rcode }), zone({ web: ['10.0.0.1'] })]);
    expect(await addressesOf(resolver, 'web')).toEqual(['10.0.0.1']);
  });

  it('a name for which one is silent does not cost it its place, if it answers others', async () => {
    const cluster = zone({ db: ['10.0.0.1'], localhost: ['127.0.0.1'] });
    const { resolver, servers } = await startLab(
      [query => (query.name === 'never' ? undefined : cluster(query)), zone({})],
      { timeout: 300 },
    );
    expect(await failureFor(resolver, 'never', 4)).toBe('not-found'); // says the second
    await expect.poll(() => servers[0]!.asked.some(({ name }) => name === 'localhost')).toBe(true);
    expect(await addressesOf(resolver, 'db', 4)).toEqual(['10.0.0.1']);
    expect(servers[1]!.asked.map(({ name }) => name)).toEqual(['never']);
  });

  it('NXDOMAIN is an answer', async () => {
    const { resolver, servers } = await startLab([zone({}), zone({ web: ['10.0.0.1'] })]);
    expect(await failureFor(resolver, 'web')).toBe('not-found');
    expect(servers[1]!.asked).toEqual([]);
  });

  it('who is silent is asked as often as `attempts` says, who failed is not', async () => {
    const { resolver, servers } = await startLab([failing, silent], { timeout: 300, attempts: 3 });
    expect(await failureFor(resolver, 'web', 4)).toBe('server-failed');
    const asked = servers.map(server => server.asked.filter(({ name }) => name === 'web').length);
    expect(asked).toEqual([1, 3]);
  });

  it('take turns with `rotate`', async () => {
    const { resolver, servers } = await startLab([zone({}), zone({})], { confText: 'options rotate\n' });
    for (const name of ['a', 'b', 'c', 'd']) await failureFor(resolver, name, 4);
    expect(servers.map(({ asked }) => asked.length)).toEqual([2, 2]);
  });

  it('the next one is asked where one knows nothing, and does not look for it', async () => {
    const lame: Script = query => {
      const message = reply(query, { authorities: [{ type: 'NS', name: 'cluster.local', data: 'ns.other', ttl: 30 }] });
      message.writeUInt16BE(0x8100, 2); // neither AA nor RA
      return message;
    };
    const { resolver, servers } = await startLab([lame, zone({ web: ['10.0.0.1'] })]);
    expect(await addressesOf(resolver, 'web', 4)).toEqual(['10.0.0.1']);
    servers[1]!.script = failing;
    expect(await failureFor(resolver, 'db', 4)).toBe('server-failed');
  });

  it('the next one is asked at once after a failure without the question', async () => {
    const bare: Script = query => {
      const header = Buffer.alloc(12);
      header.writeUInt16BE(query.id, 0);
      header.writeUInt16BE(0x8182, 2);
      return header;
    };
    const { resolver, server } = await startLab([bare, zone({ web: ['10.0.0.1'] })]);
    expect(await addressesOf(resolver, 'web', 4)).toEqual(['10.0.0.1']);
    expect(server.asked).toHaveLength(1);
  });

  it('that do not know EDNS0 are asked without, for some minutes', async () => {
    const old: Script = query =>
      query.edns ? reply(query, { rcode: 1 }) : zone({ a: ['10.0.0.1'], b: ['10.0.0.2'] })(query);
    const { resolver, server, pass } = await startLab([old]);
    expect(await addressesOf(resolver, 'a', 4)).toEqual(['10.0.0.1']);
    expect(await addressesOf(resolver, 'b', 4)).toEqual(['10.0.0.2']);
    expect(server.asked.map(({ edns }) => edns)).toEqual([true, false, false]);
    pass(601_000);
    server.script = zone({ c: ['10.0.0.3'] });
    expect(await addressesOf(resolver, 'c', 4)).toEqual(['10.0.0.3']);
    expect(server.asked.map(({ edns }) => edns)).toEqual([true, false, false, true]);
  });

  it('are asked by TCP when the answer does not fit a datagram', async () => {
    const addresses = Array.from({ length: 500 }, (_, i) => `10.0.${i >> 8}.${i & 255}`);
    const all = zone({ headless: addresses });
    const { resolver } = await startLab([
      query => (query.by === 'tcp' ? all(query) : reply(query, { truncated: true })),
    ]);
    expect(new Set(await addressesOf(resolver, 'headless', 4))).toEqual(new Set(addresses.slice(0, 32)));
    expect(resolver.stats.queries).toEqual({ udp: 1, tcp: 1 });
  });

  it('are sent the same datagram again when it was lost, and all timers end with the answer', async () => {
    const { resolver, server } = await startLab([silent], { timeout: 5000 });
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] });
    onTestFinished(() => void vi.useRealTimers());
    const asked = addressesOf(resolver, 'web', 4);
    await vi.waitUntil(() => server.asked.length === 1);
    server.script = zone({ web: ['10.0.0.1'], both: ['10.0.0.1', 'fd00::1'] });
    vi.advanceTimersByTime(1000);
    expect(await asked).toEqual(['10.0.0.1']);
    expect(server.asked[1]).toEqual(server.asked[0]);
    expect(vi.getTimerCount()).toBe(0);
    await expect(resolver.resolve('nosuch')).rejects.toThrow('no such name');
    await resolver.resolve('both');
    expect(vi.getTimerCount()).toBe(0);
  });

  it('are asked with another id and from another port each time', async () => {
    const { resolver, server } = await startLab([zone({})]);
    for (let i = 0; i < 40; i++) await failureFor(resolver, `n${i}`, 4);
    expect(new Set(server.asked.map(({ id }) => id)).size).toBeGreaterThan(36);
    expect(new Set(server.asked.map(({ port }) => port)).size).toBeGreaterThan(30);
  });
});
