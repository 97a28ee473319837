import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { reply, zone } from '@podsocks/shared/dns/fake-dns-fixtures';
import { targetOf } from '@podsocks/shared/wire/address';
import { describe, expect, it, onTestFinished } from 'vitest';
import { METRICS } from '../kubernetes/support/metrics.ts';
import { DatagramSession, DatagramStream, startWitnessedEcho } from '../support/datagram-session.ts';
import { freePort } from '../support/free-port.ts';
import { silent, startDns } from '../support/named-pair.ts';
import { suiteResource } from '../support/suite-resource.ts';
import { startEcho } from '../support/targets/echo.ts';
import { startAdminServer, UserConnection } from './admin-server.ts';
import { connectSome, startWithWorkers } from './with-workers.ts';

const echo = suiteResource(() => startEcho());

/** Metrics are gathered at most once a second. */
const PATIENCE = { timeout: 10_000 };

/** Those of ours that are not 0, without what depends on clocks and limits. */
function counted(metrics: Record<string, number>): Record<string, number> {
  const entries = Object.entries(metrics).filter(
    ([name, value]) =>
      name.startsWith('podsocks_') && value !== 0 && !/_bucket|_sum|_limit|_info|_workers|cached_names/.test(name),
  );
  return Object.fromEntries(entries.map(([name, value]) => [name.replace('podsocks_', ''), value]));
}

/** Says it and ends. */
async function say(port: number, bytes: Uint8Array): Promise<void> {
  const socket = connect({ host: '127.0.0.1', port });
  onTestFinished(() => void socket.destroy());
  socket.end(bytes);
  await once(socket.resume(), 'close');
}

describe.each([1, 2])('the metrics of ss-server in %i process(es)', workers => {
  it('are what was done', async () => {
    const dns = await startDns(zone({ 'web.test': ['127.0.0.1'] }));
    const nameservers = [dns.at];
    const server = await startAdminServer({ workers, nameservers, dnsSearch: [], dnsNdots: 1 });
    const { port: echoPort } = await echo();
    const [ada, ben] = [server.as('ada'), server.as('ben')];
    const to = (host: string, port = echoPort) => targetOf(host, port);

    // Two in order, of which one is replayed; one that stays.
    let recording: Buffer | undefined;
    for (const bytes of [1000, 24]) {
      const connection = new UserConnection(ada, to('127.0.0.1'));
      await connection.exchange(bytes);
      await connection.end();
      recording ??= connection.firstFlight;
    }
    const staying = new UserConnection(ben, to('127.0.0.1'));
    await staying.exchange(500);
    await say(server.port, recording!);
    // By name, which each process looks up once and then knows.
    for (let turn = 0; turn < 2 * workers; turn++) {
      const connection = new UserConnection(ada, to('web.test'));
      await connection.exchange(10);
      await connection.end();
    }
    // Refused: no such name, denied, nobody there, and the admin port itself, although all of loopback is allowed.
    for (const [user, target] of [
      [ada, to('nothing.test')],
      [ada, to('169.254.169.254', 80)],
      [ben, to('127.0.0.1', await freePort())],
      [ben, to('127.0.0.1', server.admin)],
    ] as const) {
      expect(await new UserConnection(user, target).isRefused()).toBe(true);
    }
    // Strangers.
    await say(server.port, randomBytes(1000));
    await say(server.port, new Uint8Array(0));
    // Datagrams.
    const udpEcho = await startWitnessedEcho();
    const session = await DatagramSession.begin(ada);
    const datagram = session.seal(to('127.0.0.1', udpEcho.port), 'x'.repeat(100));
    await session.sendRaw(datagram);
    await expect.poll(() => session.answers.length).toBe(1);
    await session.sendRaw(datagram);
    session.send(to('169.254.169.254', 53), 'to nobody');
    const stranger = createSocket('udp4');
    onTestFinished(() => void stranger.close());
    stranger.send(randomBytes(200), server.port, '127.0.0.1');
    const stream = new DatagramStream(ben, { version: 2 });
    await stream.send(to('127.0.0.1', udpEcho.port), 'y'.repeat(50));
    expect((await stream.next())?.payload).toHaveLength(50);

    const names = 2 * workers;
    const expected = {
      users: 2,
      client_connections: 2,
      'connections{user="ben"}': 1,
      'connections_opened_total{user="ada"}': 2 + names,
      'connections_opened_total{user="ben"}': 1,
      'associations{user="ada"}': 1,
      'associations{user="ben"}': 1,
      'associations_opened_total{user="ada"}': 1,
      'associations_opened_total{user="ben"}': 1,
      'bytes_total{user="ada",protocol="tcp",direction="up"}': 1024 + 10 * names,
      'bytes_total{user="ada",protocol="tcp",direction="down"}': 1024 + 10 * names,
      'bytes_total{user="ben",protocol="tcp",direction="up"}': 500,
      'bytes_total{user="ben",protocol="tcp",direction="down"}': 500,
      'bytes_total{user="ada",protocol="udp",direction="up"}': 100,
      'bytes_total{user="ada",protocol="udp",direction="down"}': 100,
      'bytes_total{user="ben",protocol="udp",direction="up"}': 50,
      'bytes_total{user="ben",protocol="udp",direction="down"}': 50,
      'refusals_total{reason="policy"}': 3,
      'refusals_total{reason="name"}': 1,
      'refusals_total{reason="refused"}': 1,
      'sessions_closed_total{end="client"}': 2 + names,
      dial_duration_seconds_count: 3 + names,
      authentication_failures_total: 2,
      replays_total: 2,
      'strangers_refused_total{reason="authentication"}': 1,
      'strangers_refused_total{reason="replay"}': 1,
      'strangers_refused_total{reason="truncated"}': 1,
      'datagrams_total{direction="up"}': 2,
      'datagrams_total{direction="down"}': 2,
      'datagrams_dropped_total{reason="authentication"}': 1,
      'datagrams_dropped_total{reason="replay"}': 1,
      'datagrams_dropped_total{reason="denied"}': 1,
      dns_names_total: 1 + names,
      dns_cache_hits_total: names - workers,
      dns_duration_seconds_count: 1 + workers,
      'dns_failures_total{reason="not-found"}': 1,
      'dns_queries_total{transport="udp"}': 2 + 2 * workers,
    };
    await expect.poll(async () => counted(await server.metrics()), PATIENCE).toEqual(expected);
    // Bytes are there while they go, not when all is over.
    await staying.exchange(7);
    await expect
      .poll(
        async () => (await server.metrics())['podsocks_bytes_total{user="ben",protocol="tcp",direction="up"}'],
        PATIENCE,
      )
      .toBe(507);
    const { podsocks_connections_limit: limit, podsocks_workers: ready } = await server.metrics();
    expect(limit).toBeGreaterThan(0);
    expect(ready).toBe(workers === 1 ? undefined : workers);
  });
});

describe('a worker that is killed', () => {
  it('takes no counter down', async () => {
    const pair = await startWithWorkers(['--admin', '127.0.0.1:0']);
    const [, url] = await pair.server.wrote(/metrics and health on (http:\/\/[\d.:]+)\//);
    const counters = async () => {
      const text = await (await fetch(`${url}/metrics`)).text();
      const numberAt = (name: string) => Number(new RegExp(`^${name}(?:{.*})? (\\d+)$`, 'm').exec(text)?.[1]);
      return {
        opened: numberAt('podsocks_connections_opened_total'),
        open: numberAt('podsocks_connections'),
        workers: numberAt('podsocks_workers'),
      };
    };
    await connectSome(pair);
    await expect.poll(async () => (await counters()).opened, PATIENCE).toBeGreaterThanOrEqual(4);
    const before = await counters();
    process.kill(pair.pids().get(1)!, 'SIGKILL');
    await expect.poll(async () => (await counters()).open, PATIENCE).toBeLessThan(before.open);
    await expect.poll(async () => (await counters()).workers, PATIENCE).toBe(2);
    const after = await counters();
    expect(after.opened).toBe(before.opened);
    await pair.connect();
    await expect.poll(async () => (await counters()).opened, PATIENCE).toBeGreaterThan(before.opened);
  });
});

describe('/readyz', () => {
  const READY = { status: 200, body: 'ready\n' };

  it('says that DNS is dead, and when it is back; /healthz does not care', async () => {
    const dns = await startDns(silent);
    const server = await startAdminServer({ nameservers: [dns.at], dnsSearch: [] });
    expect(await server.get('/readyz')).toEqual({
      status: 503,
      body: `not ready: no DNS server answers (127.0.0.1:${dns.at.port}: no answer within 2 s)\n`,
    });
    expect(await server.get('/healthz')).toEqual({ status: 200, body: 'alive\n' });
    dns.script = query => reply(query, { rcode: 2 });
    await expect.poll(() => server.get('/readyz'), PATIENCE).toEqual(READY);
    const asked = dns.asked.length;
    await Promise.all(Array.from({ length: 20 }, () => server.get('/readyz')));
    expect(dns.asked).toHaveLength(asked);
  });

  it.each([1, 2])('says no from the beginning of a drain to its end, with %i process(es)', async workers => {
    const dns = await startDns(zone({}));
    const server = await startAdminServer({ workers, nameservers: [dns.at] });
    expect(await server.get('/readyz')).toEqual(READY);
    const connection = new UserConnection(server.as('ada'), targetOf('127.0.0.1', (await echo()).port));
    await connection.exchange(1);
    const drained = server.server.drain();
    expect(await server.get('/readyz')).toEqual({ status: 503, body: 'not ready: draining\n' });
    expect((await server.get('/healthz')).status).toBe(200);
    const { podsocks_draining: draining, 'podsocks_connections{user="ada"}': open } = await server.metrics();
    expect([draining, open]).toEqual([1, 1]);
    await connection.exchange(1);
    await connection.end();
    await drained;
    await expect(server.get('/healthz')).rejects.toThrow();
  });
});

describe('users who come and go', () => {
  it.each([1, 2])('are counted, and changes that cannot be used, with %i process(es)', async workers => {
    const dns = await startDns(zone({}));
    const usersPath = mkdtempSync(join(tmpdir(), 'podsocks-'));
    onTestFinished(() => rmSync(usersPath, { recursive: true }));
    const server = await startAdminServer({ workers, users: [], usersPath, nameservers: [dns.at] });
    const told = async () => {
      const metrics = await server.metrics();
      return [metrics.podsocks_users, metrics.podsocks_user_reload_failures_total];
    };
    expect(await told()).toEqual([0, 0]);
    expect(await server.get('/readyz')).toEqual({ status: 503, body: 'not ready: there are no users\n' });
    writeFileSync(join(usersPath, 'ada'), randomBytes(32).toString('base64'), { mode: 0o600 });
    await expect.poll(told, PATIENCE).toEqual([1, 0]);
    expect((await server.get('/readyz')).body).toBe('ready\n');
    writeFileSync(join(usersPath, 'ben'), '{ "password":', { mode: 0o600 });
    await expect.poll(told, PATIENCE).toEqual([1, expect.toSatisfy(failures => failures > 0)]);
  });
});

describe('a server with one key for all', () => {
  it('has one user', async () => {
    const dns = await startDns(zone({}));
    const server = await startAdminServer({ users: [], nameservers: [dns.at] });
    expect((await server.get('/readyz')).body).toBe('ready\n');
    expect((await server.metrics()).podsocks_users).toBe(1);
  });
});

describe('the admin listener', () => {
  it('answers probes, and users are served, while somebody holds all the connections that they get', async () => {
    const dns = await startDns(zone({}));
    const server = await startAdminServer({ nameservers: [dns.at] });
    const connection = new UserConnection(server.as('ada'), targetOf('127.0.0.1', (await echo()).port));
    const holders = new Set<Socket>();
    const hold = (first: string) => {
      const socket = connect({ host: '127.0.0.1', port: server.admin });
      holders.add(socket);
      // Whoever is thrown out comes again.
      socket.on('error', () => {}).on('close', () => holders.delete(socket) && hold(first));
      socket.write(first);
    };
    onTestFinished(() => {
      for (const socket of holders) {
        holders.delete(socket);
        socket.destroy();
      }
    });
    for (let count = 0; count < 10; count++) {
      hold('GET /metrics HTTP/1.1\r\nX: ');
      hold('GET /metrics HTTP/1.1\r\nHost: a\r\n\r\nGET /');
    }
    for (let turn = 0; turn < 20; turn++) {
      expect((await server.get('/healthz')).status).toBe(200);
      expect((await server.get('/readyz')).status).toBe(200);
      await connection.exchange(1000);
    }
  });

  it('exports all that the alert rules and the dashboard ask for', async () => {
    const server = await startAdminServer();
    const connection = new UserConnection(server.as('ada'), targetOf('127.0.0.1', (await echo()).port));
    await connection.exchange(1);
    const { body } = await server.get('/metrics');
    for (const [name, labels] of Object.entries(METRICS)) {
      const [, sample] = new RegExp(`^${name}(?:_bucket)?(?:{(.*)})? \\S+$`, 'm').exec(body) ?? [];
      if (sample === undefined) expect(body, name).toContain(`# TYPE ${name} `);
      else
        expect(Array.from(sample.matchAll(/(\w+)="/g), ([, label]) => label).sort(), name).toEqual([...labels].sort());
    }
  });

  it('is gone if the server does not start', async () => {
    const taken = createServer();
    taken.listen(0, '127.0.0.1');
    await once(taken, 'listening');
    onTestFinished(() => void taken.close());
    const admin = { host: '127.0.0.1', port: await freePort() };
    const { port } = taken.address() as { port: number };
    const listen = [{ host: '127.0.0.1', port }];
    await expect(startAdminServer({ admin, listen })).rejects.toMatchObject({ code: 'ERR_LISTEN' });
    await expect(fetch(`http://127.0.0.1:${admin.port}/healthz`)).rejects.toThrow();
    taken.close();
    expect((await (await startAdminServer({ admin })).get('/healthz')).status).toBe(200);
  });

  it('and its metrics do not tell keys', async () => {
    const server = await startAdminServer();
    const { body } = await server.get('/metrics');
    for (const user of ['ada', 'ben'] as const) {
      const { keys } = server.as(user);
      for (const key of [keys.key, ...keys.identityKeys]) {
        for (const form of ['base64', 'hex'] as const) expect(body).not.toContain(Buffer.from(key).toString(form));
      }
    }
  });
});
