import { type Asked, a, cname, reply, type Script, zone } from '@podsocks/shared/dns/fake-dns-fixtures';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { failureOf } from './failure.ts';
import { addressesOf, startLab } from './resolver-fixtures.ts';

const good = zone({ web: ['10.0.0.1'] });

const forged = (query: Asked, change: Partial<Asked>): Buffer =>
  reply({ ...query, ...change }, { answers: [a(change.name ?? query.name, '6.6.6.6')] });

describe('forged datagrams', () => {
  it.each([
    ['another id', (query: Asked) => forged(query, { id: query.id ^ 1 })],
    ['another question', (query: Asked) => forged(query, { name: 'wex' })],
    ['another type', (query: Asked) => forged(query, { type: 'TXT' })],
    ['no message', () => Buffer.from('hello')],
    ['nothing', () => Buffer.alloc(0)],
  ])('with %s are passed over', async (_, forge) => {
    const { resolver } = await startLab([query => [forge(query), forge(query), good(query) as Buffer]]);
    expect(await addressesOf(resolver, 'web', 4)).toEqual(['10.0.0.1']);
    expect(resolver.stats.foreign).toBe(2);
  });

  it('in number make the question go by TCP', async () => {
    const guesses: Script = query =>
      query.by === 'tcp'
        ? good(query)
        : Array.from({ length: 100 }, (_, i) => forged(query, { id: query.id ^ (i + 1) }));
    const { resolver } = await startLab([guesses], { timeout: 5000 });
    expect(await addressesOf(resolver, 'web', 4)).toEqual(['10.0.0.1']);
    expect(resolver.stats).toMatchObject({ foreign: 16, queries: { udp: 1, tcp: 1 } });
  });
});

describe('a server that', () => {
  const failing: Record<string, Script> = {
    'says something malformed': query => Buffer.concat([good(query) as Buffer]).subarray(0, -1),
    'answers by TCP for another question': query =>
      query.by === 'tcp' ? forged(query, { id: query.id ^ 1 }) : reply(query, { truncated: true }),
    'truncates by TCP as well': query => reply(query, { truncated: true }),
    'has aliases in a circle': query => reply(query, { answers: [cname('web', 'b'), cname('b', 'web')] }),
    'has one alias after the other': query =>
      reply(query, { answers: [cname(query.name, `n${Number(query.name.slice(1)) + 1 || 0}`)] }),
    'has an alias that is no name': query => reply(query, { answers: [cname('web', 'a b')] }),
    'has 64 KiB of aliases': query =>
      query.by === 'tcp'
        ? reply(query, { answers: Array.from({ length: 2000 }, (_, i) => cname(i ? `n${i}` : 'web', `n${i + 1}`)) })
        : reply(query, { truncated: true }),
  };

  it.each(Object.entries(failing))('%s has failed', async (_, script) => {
    const { resolver, server } = await startLab([script], { timeout: 2000 });
    expect(await resolver.resolve('web', 4).catch(failureOf)).toBe('server-failed');
    expect(server.asked.length).toBeLessThan(20);
    expect(resolver.load.queries).toBe(0);
  });

  it('says something malformed is followed by the next', async () => {
    const { resolver } = await startLab([failing['says something malformed']!, good]);
    expect(await addressesOf(resolver, 'web', 4)).toEqual(['10.0.0.1']);
  });

  it('is silent on TCP has timed out', async () => {
    const { resolver } = await startLab(
      [query => (query.by === 'udp' ? reply(query, { truncated: true }) : undefined)],
      { timeout: 500 },
    );
    expect(await resolver.resolve('web', 4).catch(failureOf)).toBe('timed-out');
  });
});

describe('no socket stays open', () => {
  /** What the test's server has; its listener does not count. */
  const SERVER = 1;
  const sockets = () => process.getActiveResourcesInfo().filter(type => /^(UDP|TCPSocket)/.test(type)).length;

  it.each<[string, Script]>([
    ['when all went well', good],
    ['when the answer never comes', () => undefined],
    ['when it comes by TCP', query => (query.by === 'tcp' ? good(query) : reply(query, { truncated: true }))],
    ['when TCP is silent', query => (query.by === 'tcp' ? undefined : reply(query, { truncated: true }))],
    ['when the server fails', query => reply(query, { rcode: 2 })],
  ])('%s', async (_, script) => {
    const { resolver } = await startLab([script], { timeout: 100 });
    await expect.poll(sockets).toBe(SERVER);
    await resolver.resolve('web', 4).catch(() => {});
    await expect.poll(sockets).toBe(SERVER);
    expect(resolver.load.queries).toBe(0);
  });

  it('when the resolver is closed', async () => {
    const { resolver, server } = await startLab([() => undefined], { timeout: 10_000 });
    await expect.poll(sockets).toBe(SERVER);
    const asked = resolver.resolve('web').catch(failureOf);
    await expect.poll(() => server.asked.length).toBe(2);
    expect(sockets()).toBe(SERVER + 2);
    resolver.close();
    expect(await asked).toBe('closed');
    await expect.poll(sockets).toBe(SERVER);
  });
});

it('answers with any bits flipped never hang or crash, nor bring a name that was not asked for', async () => {
  const { resolver, server } = await startLab([good], { timeout: 20 });
  let number = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(50 * 8 - 1), { minLength: 1, maxLength: 3 }), async flips => {
      const name = `web${number++}`;
      server.script = query => {
        const message = Buffer.from(reply(query, { answers: [a(query.name, '10.0.0.1')] }));
        for (const bit of flips) message[(bit >> 3) % message.length]! ^= 1 << (bit & 7);
        return message;
      };
      const found = await resolver.resolve(name, 4).catch(failureOf);
      if (typeof found === 'object') {
        for (const { address, family } of found)
          expect([address, family]).toEqual([expect.stringMatching(/^[\d.]+$/), 4]);
      } else expect(found).toMatch(/^(not-found|no-address|server-failed|timed-out)$/);
    }),
    { numRuns: 200 },
  );
  expect(resolver.load.queries).toBe(0);
});
