import { parseName } from '@podsocks/shared/dns/dns-name';
import { zone } from '@podsocks/shared/dns/fake-dns-fixtures';
import { describe, expect, it } from 'vitest';
import { failureOf } from './failure.ts';
import { addressesOf, startLab } from './resolver-fixtures.ts';
import { candidates, SearchFailures } from './search-list.ts';

/** What kubelet writes into a pod. */
const POD =
  'nameserver 10.96.0.10\nsearch default.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5\n';

const D = 'default.svc.cluster.local';
const S = 'svc.cluster.local';
const C = 'cluster.local';

// The order is what `getent ahosts` (glibc 2.36) asks for.
describe('names that are asked for', () => {
  it.each([
    ['web', [`web.${D}`, `web.${S}`, `web.${C}`, 'web']],
    ['web.default', [`web.default.${D}`, `web.default.${S}`, `web.default.${C}`, 'web.default']],
    ['Web.default.svc', [`web.default.svc.${D}`, `web.default.svc.${S}`, `web.default.svc.${C}`, 'web.default.svc']],
    ['example.com', [`example.com.${D}`, `example.com.${S}`, `example.com.${C}`, 'example.com']],
    ['a.b.c.d.e.f', ['a.b.c.d.e.f', `a.b.c.d.e.f.${D}`, `a.b.c.d.e.f.${S}`, `a.b.c.d.e.f.${C}`]],
    ['web.', ['web']],
    [`web.${D}.`, [`web.${D}`]],
    ['example.com.', ['example.com']],
  ])('in a pod: %s', async (name, asked) => {
    const { resolver, server } = await startLab([zone({})], { confText: POD });
    await expect(resolver.resolve(name, 4)).rejects.toMatchObject({ cause: { code: 'ENOTFOUND' } });
    expect(server.asked.map(query => query.name)).toEqual(asked);
  });

  it.each([
    [['a', 'b'], 1, 'x', ['x.a', 'x.b', 'x']],
    [['a', 'b'], 1, 'x.y', ['x.y', 'x.y.a', 'x.y.b']],
    [['a'], 0, 'x', ['x', 'x.a']],
    [[], 1, 'x', ['x']],
    [['', 'a'], 1, 'x', ['x', 'x.a']],
    [['a', ''], 1, 'x', ['x.a', 'x']],
    [['', 'a'], 1, 'x.y', ['x.y', 'x.y.a']],
    [['long.'.repeat(40)], 1, 'y'.repeat(60), ['y'.repeat(60)]],
  ])('search %j, ndots %i: %s', (search, ndots, name, asked) => {
    expect(candidates(parseName(name)!, { search, ndots }).map(candidate => candidate.name)).toEqual(asked);
  });

  it('end with the first that has an address', async () => {
    const records = { [`web.${S}`]: ['10.0.0.1'], web: ['6.6.6.6'], [`web.${D}`]: [] };
    const { resolver, server } = await startLab([zone(records)], { confText: POD });
    expect(await addressesOf(resolver, 'web')).toEqual(['10.0.0.1']);
    expect([...new Set(server.asked.map(query => query.name))]).toEqual([`web.${D}`, `web.${S}`]);
    expect(await addressesOf(resolver, 'web.')).toEqual(['6.6.6.6']);
  });
});

describe('the search list', () => {
  it('goes on after a server that failed, and after a time-out with the name as it is', async () => {
    const known = zone({ 'web.b': ['10.0.0.2'], web: ['10.0.0.3'] });
    const { resolver, server, pass } = await startLab(
      [query => (query.name === 'web.a' ? failing(query) : known(query))],
      {
        search: ['a', 'b.'],
        timeout: 500,
      },
    );
    expect(await addressesOf(resolver, 'web', 4)).toEqual(['10.0.0.2']);
    pass(1000);
    server.script = query => (query.name === 'web.a' ? undefined : known(query));
    expect(await addressesOf(resolver, 'web', 4)).toEqual(['10.0.0.3']);
  });

  it.each([
    ['no-address', { 'web.a': [] }],
    ['not-found', {}],
  ])('ends with %s', async (failure, records: Record<string, string[]>) => {
    const { resolver } = await startLab([zone(records)], { search: ['a', 'b'] });
    expect(await resolver.resolve('web').catch(failureOf)).toBe(failure);
  });

  it.each([
    ['not-found', true, ['not-found', 'no-address']],
    ['server-failed', true, ['server-failed', 'no-address']],
    ['no-address', false, ['no-address', 'server-failed', 'not-found']],
    ['server-failed', false, ['not-found', 'server-failed', 'not-found']],
    ['timed-out', false, ['timed-out', 'not-found']],
    ['not-found', false, ['not-found', 'not-found']],
  ] as const)('means %s, the name as given being the first (%s) or not, for %j', (verdict, asGiven, all) => {
    const failures = new SearchFailures();
    for (const [i, failure] of all.entries()) failures.add({ name: 'x', asGiven: asGiven && i === 0 }, failure);
    expect(failures.verdict).toBe(verdict);
  });

  it('holds an answer no longer than that the names before it are not there', async () => {
    const { resolver, server, pass } = await startLab([zone({ 'web.b': ['10.0.0.2'] }, 60)], { search: ['a', 'b'] });
    await resolver.resolve('web', 4);
    server.script = zone({ 'web.a': ['10.0.0.1'] });
    pass(4999);
    expect(resolver.known('web', 4)).toHaveLength(1);
    pass(1);
    expect(await addressesOf(resolver, 'web', 4)).toEqual(['10.0.0.1']);
  });

  it('may be given, with ndots', async () => {
    const { resolver, server } = await startLab([zone({})], { confText: POD, search: ['Example.'], ndots: 1 });
    await resolver.resolve('a.b', 4).catch(() => {});
    expect(server.asked.map(query => query.name)).toEqual(['a.b', 'a.b.example']);
  });
});

function failing(query: Parameters<ReturnType<typeof zone>>[0]): Buffer {
  const message = zone({})(query) as Buffer;
  message.writeUInt8((message.readUInt8(3) & 0xf0) | 2, 3);
  return message;
}
