import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { a, reply, type Script, zone } from '@podsocks/shared/dns/fake-dns-fixtures';
import { describe, expect, it, onTestFinished } from 'vitest';
import { isOfThisMachine } from '../listen/client-gate.ts';
import { fakeServer, queryFor, said } from './dns-fixtures.ts';
import { answerFor } from './raw-answer.ts';
import { isItself, systemResolvers } from './system-resolvers.ts';
import { SystemUpstream } from './system-upstream.ts';

const good = zone({ 'example.com': ['192.0.2.1'] });

async function startUpstream(...scripts: Script[]) {
  const servers = await Promise.all(scripts.map(fakeServer));
  const clock = { time: 1_000_000 };
  const upstream = new SystemUpstream({ servers: () => servers.map(({ at }) => at), now: () => clock.time });
  onTestFinished(() => upstream.close());
  const ask = async () => {
    const query = queryFor('example.com');
    return said(answerFor(query, await upstream.ask(query), 0, 0xffff));
  };
  return { upstream, ask, servers, clock };
}

describe('the system’s DNS servers', () => {
  it('are asked by UDP, with ids and ports that nobody knows', async () => {
    const { ask, servers } = await startUpstream(good);
    for (let i = 0; i < 8; i++) await ask();
    const { asked } = servers[0]!;
    expect(asked.map(({ by }) => by)).toEqual(Array(8).fill('udp'));
    expect(new Set(asked.map(({ id }) => id)).size).toBeGreaterThan(4);
    expect(new Set(asked.map(({ port }) => port)).size).toBeGreaterThan(4);
  });

  it('are asked by TCP when the answer does not fit', async () => {
    const { ask, servers } = await startUpstream(query =>
      query.by === 'tcp' ? good(query) : reply(query, { truncated: true }),
    );
    expect(await ask()).toEqual(['example.com A 192.0.2.1']);
    expect(servers[0]!.asked.map(({ by }) => by)).toEqual(['udp', 'tcp']);
  });

  it.each([1, 4])('are asked without EDNS0 if they refuse it with RCODE %i', async rcode => {
    const { ask, servers } = await startUpstream(query => (query.edns ? reply(query, { rcode }) : good(query)));
    expect(await ask()).toEqual(['example.com A 192.0.2.1']);
    expect(servers[0]!.asked.map(({ edns }) => edns)).toEqual([true, false]);
  });

  it('are asked in turn, and who is silent last for ten seconds', async () => {
    const { ask, servers, clock } = await startUpstream(() => undefined, good);
    const counts = () => servers.map(({ asked }) => asked.length);
    await ask();
    const [first, second] = counts() as [number, number];
    expect([first > 0, second]).toEqual([true, 1]);
    await ask();
    expect(counts()).toEqual([first, 2]);
    servers[0]!.script = good;
    clock.time += 10_000;
    await ask();
    expect(counts()).toEqual([first + 1, 2]);
  });

  it('cannot be forged by others', async () => {
    const forged: Script = query => [
      reply({ ...query, id: query.id ^ 1 }, { answers: [a(query.name, '6.6.6.6')] }),
      reply({ ...query, name: 'x' }, { answers: [a('x', '6.6.6.6')] }),
      good(query) as Buffer,
    ];
    const { ask } = await startUpstream(forged);
    expect(await ask()).toEqual(['example.com A 192.0.2.1']);
  });

  it('that there are none of is an error that says what to do', async () => {
    const { upstream } = await startUpstream();
    await expect(upstream.ask(queryFor('example.com'))).rejects.toThrow(/--dns-upstream/);
  });
});

describe('which they are', () => {
  it('says resolv.conf, as it is now', () => {
    const folder = mkdtempSync(join(tmpdir(), 'podsocks-dns-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const resolvConf = join(folder, 'resolv.conf');
    writeFileSync(resolvConf, 'nameserver 192.168.1.1\nnameserver fe80::1%eth0\nnameserver ::1\n');
    let time = 0;
    const servers = systemResolvers({ platform: 'linux', resolvConf, now: () => time });
    expect(servers().map(({ host }) => host)).toEqual(['192.168.1.1', 'fe80::1%eth0', '::1']);
    writeFileSync(resolvConf, 'nameserver 10.0.0.1\n');
    time += 1000;
    expect(servers()).toEqual([{ host: '10.0.0.1', port: 53 }]);
  });

  it.each(['win32', 'darwin'] as const)('says node:dns on %s, asked every five seconds', platform => {
    let listed = [
      '192.168.1.1',
      '2001:db8::1',
      '[2001:db8::2]:5300',
      '10.0.0.1:54',
      'fec0:0:0:ffff::1',
      'fec0:0:0:ffff::2%1',
      'x y',
    ];
    let time = 0;
    const servers = systemResolvers({ platform, resolvConf: '/nowhere', now: () => time, listed: () => listed });
    expect(servers()).toEqual([
      { host: '192.168.1.1', port: 53 },
      { host: '2001:db8::1', port: 53 },
      { host: '2001:db8::2', port: 5300 },
      { host: '10.0.0.1', port: 54 },
    ]);
    listed = ['1.1.1.1'];
    time = 4999;
    expect(servers()).toHaveLength(4);
    time = 5000;
    expect(servers()).toEqual([{ host: '1.1.1.1', port: 53 }]);
  });

  it('are some on this machine', () => {
    expect(Array.isArray(systemResolvers({ platform: 'darwin', resolvConf: '', now: () => 0 })())).toBe(true);
  });
});

describe('whether a server is this one', () => {
  const isOwn = (address: string) => ['192.168.1.5', 'fe80::5%eth0'].includes(address) || isOfThisMachine(address);

  it.each([
    ['127.0.0.1', 53, '127.0.0.1', true],
    ['127.0.0.1', 53, '127.0.0.53', false],
    ['127.0.0.1', 5354, '127.0.0.1', false],
    ['0.0.0.0', 53, '127.0.0.53', true],
    ['0.0.0.0', 53, '192.168.1.5', true],
    ['0.0.0.0', 53, '192.168.1.1', false],
    ['::', 53, '::1', true],
    ['::', 53, '127.0.0.1', true],
    ['0.0.0.0', 53, '0.0.0.0', true],
    ['127.0.0.1', 53, '0.0.0.0', true],
    ['::1', 53, '::', true],
    ['::1', 53, '0:0::1', true],
    ['127.0.0.1', 53, '::ffff:127.0.0.1', true],
    ['::1', 53, '0.0.0.0', false],
    ['::', 53, '2001:db8::1', false],
    ['fe80::5%eth0', 53, 'fe80::5%eth0', true],
    ['::', 53, 'fe80::5%eth0', true],
    ['::', 53, 'fe80::5%eth1', false],
  ])('that listens on %s port %i, of %s: %s', (host, port, server, expected) => {
    expect(isItself({ host: server, port: 53 }, [{ host, port }], isOwn)).toBe(expected);
  });
});
