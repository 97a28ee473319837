import { once } from 'node:events';
import { createServer as createWebServer, get } from 'node:http';
import { type AddressInfo, connect, createServer } from 'node:net';
import { text } from 'node:stream/consumers';
import type { ClientConfig } from '@podsocks/client/config';
import { parseRoutePattern } from '@podsocks/client/routing/route-pattern';
import { parseNetwork } from '@podsocks/shared/matching/network';
import { describe, expect, it, onTestFinished } from 'vitest';
import { freePort } from '../support/free-port.ts';
import { type Pair, startPair } from '../support/in-process.ts';
import { PseudoRandom, sha256 } from '../support/pseudo-random.ts';
import { suiteResource } from '../support/suite-resource.ts';
import { startDatagramEcho } from '../support/targets/datagram-echo.ts';
import { startDigest } from '../support/targets/digest.ts';
import { startEcho } from '../support/targets/echo.ts';
import { Association } from './socks5-association.ts';

const echo = suiteResource(() => startEcho(['127.0.0.1', '::1']));
const digest = suiteResource(() => startDigest());
const datagrams = suiteResource(() => startDatagramEcho(['127.0.0.1']));

type Way = ClientConfig['route']['default'];

const route = (byDefault: Way, ...rules: [Way, string][]): ClientConfig['route'] => ({
  mode: 'rules',
  default: byDefault,
  namespaces: [],
  rules: rules.map(([way, text]) => {
    const { to, ports } = parseRoutePattern(text);
    return { way, ...(to && { to }), ...(ports && { ports }), from: `--${way} ${text}` };
  }),
});

/** The server denies everything, so what is reached is reached directly. */
const startDirect = (settings: Partial<ClientConfig> = {}) =>
  startPair({ server: { policy: { rules: [], default: 'deny' } }, client: { route: route('direct'), ...settings } });

describe('what goes directly', () => {
  it('goes both ways, whole, and to the end', async () => {
    const pair = await startDirect();
    const connection = await pair.connect({ host: '127.0.0.1', port: (await echo()).port });
    const source = new PseudoRandom('direct');
    const sent = source.take(3_000_000);
    const sending = connection.send(sent).then(() => connection.end());
    expect(sha256(await connection.takeAll())).toBe(source.digest());
    await sending;
  });

  it('answers after the request has ended', async () => {
    const pair = await startDirect();
    const connection = await pair.connect({ host: 'localhost', port: (await digest()).port });
    await connection.send('hello');
    connection.end();
    expect(String(await connection.takeAll())).toBe(sha256(Buffer.from('hello')));
  });

  it('is told truly: refused, and no such name', async () => {
    const pair = await startDirect();
    await expect(pair.connect({ host: '127.0.0.1', port: await freePort() })).rejects.toThrow('reply 5');
    await expect(pair.connect({ host: 'a..b', port: 80 })).rejects.toThrow('reply 4');
  });

  it('does not go to what a rule rejects, though a name leads there', async () => {
    const pair = await startDirect({ route: route('direct', ['reject', '127.0.0.0/8'], ['reject', '::1']) });
    await expect(pair.connect({ host: 'localhost', port: (await echo()).port })).rejects.toThrow('reply 2');
  });

  it('goes as datagrams, too', async () => {
    const pair = await startDirect({ mode: 'tcp_and_udp' });
    const own = await Association.open(pair.socksPort);
    // Loopback is for this machine's own programs, and UDP does not tell whose an association is.
    own.send({ host: '127.0.0.1', port: (await datagrams()).port }, 'hello');
    await expect.poll(() => pair.client.datagramCounts.drops.denied).toBe(1);
  });
});

describe('a request by HTTP that comes to nothing', () => {
  async function ask(settings: Partial<ClientConfig>, url: string) {
    const { socksPort, log } = await startDirect(settings);
    const [answer] = await once(get({ host: '127.0.0.1', port: socksPort, path: url, agent: false }), 'response');
    return { status: answer.statusCode, said: `${answer.headers['proxy-status']} ${await text(answer)}`, log };
  }

  it('is in the log, as one by SOCKS is', async () => {
    const { status, log } = await ask({ route: route('direct', ['reject', ':25']) }, 'http://127.0.0.1:25/');
    expect(status).toBe(403);
    const said = { client: '127.0.0.1', target: '127.0.0.1:25', msg: '127.0.0.1:25: rejected: --reject :25' };
    expect(log.map(line => JSON.parse(line))).toContainEqual(expect.objectContaining(said));
  });

  it('for want of a server does not blame the target, nor say where the server is', async () => {
    const { toServer } = await startPair();
    const servers = [{ ...toServer, port: await freePort() }];
    const { said, log } = await ask({ route: route('tunnel'), servers }, 'http://127.0.0.1:80/');
    expect(said).toBe('podsocks; error=proxy_internal_error the server cannot be reached\n');
    expect(log.join('')).toContain(`the server cannot be reached: 127.0.0.1:${servers[0]!.port}`);
  });
});

describe('with a server far away, what it says is the cluster’s is waited for', () => {
  async function startAfar(): Promise<Pair> {
    const to = [parseNetwork('10.96.0.0/12')];
    const policy = { rules: [{ action: 'allow', to, from: 'the test' }], default: 'deny' } as const;
    const { toServer } = await startPair({ server: { policy } });
    const way = createServer(connection => {
      const onward = connect(toServer.port, toServer.host);
      for (const socket of [connection, onward]) socket.on('error', () => {});
      setTimeout(() => connection.pipe(onward).pipe(connection), 200);
    }).listen(0, '127.0.0.1');
    onTestFinished(() => void way.close());
    await once(way, 'listening');
    const { mode: _, ...auto } = route('tunnel');
    return startPair({
      client: { route: auto, servers: [{ ...toServer, port: (way.address() as AddressInfo).port }] },
    });
  }

  it('by SOCKS', async () => {
    const pair = await startAfar();
    const connection = await pair.connect({ host: '127.0.0.1', port: (await echo()).port });
    await connection.send('hello');
    expect(String(await connection.take(5))).toBe('hello');
  });

  it('by HTTP', async () => {
    const web = createWebServer((_, response) => response.end('hello')).listen(0, '127.0.0.1');
    onTestFinished(() => void web.close());
    await once(web, 'listening');
    const { socksPort } = await startAfar();
    const url = `http://127.0.0.1:${(web.address() as AddressInfo).port}/`;
    const asked = get({ host: '127.0.0.1', port: socksPort, path: url, agent: false });
    const [answer] = await once(asked, 'response');
    expect(await text(answer)).toBe('hello');
  });
});

it('refuses what is rejected', async () => {
  const pair = await startPair({ client: { route: route('tunnel', ['reject', ':1-65535']) } });
  await expect(pair.connect({ host: '127.0.0.1', port: (await echo()).port })).rejects.toThrow('reply 2');
  expect(pair.client.status().failures[0]?.reason).toContain('--reject');
});

it('sends the rest through the tunnel', async () => {
  const pair = await startPair({ client: { route: route('tunnel', ['direct', '192.0.2.0/24']) } });
  const connection = await pair.connect({ host: '127.0.0.1', port: (await echo()).port });
  await connection.send('hello');
  expect(String(await connection.take(5))).toBe('hello');
  expect(pair.client.status().servers[0]).toMatchObject({ total: 1, connections: 1 });
});
