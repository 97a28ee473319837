import type { ServerConfig } from '@podsocks/server/config';
import { type FakeDns, zone } from '@podsocks/shared/dns/fake-dns-fixtures';
import { describe, expect, it } from 'vitest';
import { isSaid, reach, silent, startDns, startWith } from '../support/named-pair.ts';
import { suiteResource } from '../support/suite-resource.ts';
import { startDatagramEcho } from '../support/targets/datagram-echo.ts';
import { startEcho } from '../support/targets/echo.ts';
import { Association } from './socks5-association.ts';

// Names that only the DNS servers of the test know. Nobody listens on the address 127.0.0.9.

const echo = suiteResource(() => startEcho());
const datagramEcho = suiteResource(() => startDatagramEcho(['127.0.0.1', '127.0.0.2']));

describe('a connection to a name', () => {
  it('reaches the address that the DNS server says', async () => {
    const dns = await startDns(zone({ 'web.test': ['127.0.0.1'], 'alias.test': ['-> web.test'] }));
    const pair = await startWith([dns]);
    for (const host of ['web.test', 'WEB.test', 'web.test.', 'alias.test']) {
      expect(await reach(pair, host, (await echo()).port), host).toBe('hello');
    }
  });

  it('reaches one of several addresses, whichever of them is dead', async () => {
    const dns = await startDns(
      zone({
        'first.test': ['127.0.0.9', '127.0.0.1'],
        'last.test': ['127.0.0.1', '127.0.0.9'],
        'six.test': ['::1', '127.0.0.1'],
      }),
    );
    const pair = await startWith([dns], { ipv6First: true });
    // Each connection begins with another address.
    for (let turn = 0; turn < 4; turn++) {
      for (const host of ['first.test', 'last.test', 'six.test'])
        expect(await reach(pair, host, (await echo()).port), host).toBe('hello');
    }
  });

  it('completes the name by the search list', async () => {
    const dns = await startDns(zone({ 'web.default.svc.test': ['127.0.0.1'], 'db.prod.svc.test': ['127.0.0.1'] }));
    const pair = await startWith([dns], { dnsSearch: ['default.svc.test', 'svc.test.'], dnsNdots: 5 });
    expect(await reach(pair, 'web', (await echo()).port)).toBe('hello');
    expect([...new Set(dns.asked.map(({ name }) => name))]).toEqual(['web.default.svc.test']);
    expect(await reach(pair, 'db.prod', (await echo()).port)).toBe('hello');
    expect(await reach(pair, 'web.default.svc.test', (await echo()).port)).toBe('hello');
    expect(await reach(pair, 'web.', (await echo()).port)).toBe('ECONNRESET');
    await isSaid(pair, /"web\.:\d+: no such name/);
  });

  it('is reset if there is no such name, and the log says so', async () => {
    const dns = await startDns(zone({}));
    const pair = await startWith([dns]);
    expect(await reach(pair, 'nothing.test', (await echo()).port)).toBe('ECONNRESET');
    await isSaid(pair, /nothing\.test:\d+: no such name \(ENOTFOUND\)/);
  });

  it.each([
    ['one name', () => 'web.test'],
    ['a name each', (index: number) => `n${index}.test`],
  ])('is one of two hundred at once, to %s, and all get through', async (_, nameOf) => {
    const { port } = await echo();
    const known = zone(Object.fromEntries(Array.from({ length: 200 }, (_, i) => [nameOf(i), ['127.0.0.1']])));
    const dns = await startDns(known);
    const pair = await startWith([dns]);
    const reached = await Promise.all(Array.from({ length: 200 }, (_, i) => reach(pair, nameOf(i), port)));
    expect(reached.filter(result => result !== 'hello')).toEqual([]);
  });

  it('waits no longer than --connect-timeout for a DNS server', async () => {
    const pair = await startWith([await startDns(silent)], { connectTimeout: 500 });
    expect(await reach(pair, 'never.test', (await echo()).port)).toBe('ECONNRESET');
    await isSaid(pair, /never\.test:\d+: no DNS server answers within 0\.5 s/);
  });
});

// The second way carries them through the TCP side, whose worker may be any.
describe.each([
  { way: 'by datagrams', client: { mode: 'tcp_and_udp' } },
  { way: 'over TCP', client: { mode: 'tcp_and_udp', udpOverTcp: true } },
] as const)('datagrams to a name, $way,', ({ client }) => {
  const start = async (dns: FakeDns, server: Partial<ServerConfig> = {}) => {
    const pair = await startWith([dns], { mode: 'tcp_and_udp', ...server }, client);
    return { pair, own: await Association.open(pair.socksPort) };
  };

  it('reach the address that the DNS server says, which is asked once', async () => {
    const dns = await startDns(zone({ 'web.default.svc.test': ['127.0.0.1'] }));
    const { own } = await start(dns, { dnsSearch: ['default.svc.test'] });
    const { port } = await datagramEcho();
    for (const payload of ['one', 'two', 'three']) {
      own.send({ host: 'web', port }, payload);
      expect(await own.next()).toEqual({ host: '127.0.0.1', port, payload: Buffer.from(payload) });
    }
    expect(dns.asked.map(({ name, type }) => `${name} ${type}`).sort()).toEqual([
      'web.default.svc.test A',
      'web.default.svc.test AAAA',
    ]);
  });

  it('stay with one of its addresses', async () => {
    const dns = await startDns(zone({ 'headless.test': ['127.0.0.1', '127.0.0.2'] }, 0));
    const { own } = await start(dns);
    const { port } = await datagramEcho();
    const hosts = new Set<string>();
    for (let count = 0; count < 10; count++) {
      own.send({ host: 'headless.test', port }, `${count}`);
      hosts.add((await own.next()).host);
    }
    expect(hosts.size).toBe(1);
  });

  it('are dropped if there is no such name, and those to others go on', async () => {
    const dns = await startDns(zone({ 'web.test': ['127.0.0.1'] }));
    const { pair, own } = await start(dns);
    const { port } = await datagramEcho();
    own.send({ host: 'nothing.test', port }, 'lost');
    own.send({ host: 'web.test', port }, 'found');
    expect(String((await own.next()).payload)).toBe('found');
    await isSaid(pair, /"reason":"name"/);
  });
});
