import { once } from 'node:events';
import { mkdtempSync, renameSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import { LOOPBACK_ALLOWED } from '../support/allow-loopback.ts';
import { freePort } from '../support/free-port.ts';
import { CLIENT, type Program, run, SERVER } from '../support/own-program.ts';
import { connectThrough } from '../support/socks5-connect.ts';
import { startEcho } from '../support/targets/echo.ts';

// Several servers as processes: stopped ones stop for real, and what accepts and never answers is a socket.

const KEY = Buffer.alloc(32, 7).toString('base64');
const METHOD = '2022-blake3-aes-256-gcm';

const urlOf = (port: number, name: string) => `ss://${METHOD}:${encodeURIComponent(KEY)}@127.0.0.1:${port}#${name}`;

async function startServer(): Promise<{ readonly port: number; readonly program: Program }> {
  const port = await freePort();
  const program = run(SERVER, ['-s', '127.0.0.1', '-p', `${port}`], { env: { ...LOOPBACK_ALLOWED, SS_PASSWORD: KEY } });
  await program.wrote(/listening on|TCP on|Shadowsocks/i);
  return { port, program };
}

/** The kernel accepts, and nobody answers. */
async function startSilence(): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer(socket => {
    sockets.add(socket.on('error', () => {}).resume());
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

async function startLocal(args: readonly string[]) {
  const port = await freePort();
  const program = run(CLIENT, [...args, '-l', `${port}`, '--route', 'all']);
  await program.wrote(/SOCKS5, SOCKS4 and HTTP on/);
  return { port, program };
}

interface Status {
  readonly servers: readonly { name: string; health: string; active: boolean; reason?: string }[];
}

async function statusOf(port: number): Promise<Status> {
  const request = get({ host: '127.0.0.1', port, path: '/v1/status', agent: false });
  const [response] = await once(request, 'response');
  let text = '';
  for await (const part of response) text += part;
  return JSON.parse(text);
}

const activeOf = async (port: number) => (await statusOf(port)).servers.find(({ active }) => active)?.name;

/** One new connection, there and back. @returns milliseconds. */
async function echo(socksPort: number, port: number): Promise<number> {
  const begun = performance.now();
  const connection = await connectThrough(socksPort, { host: '127.0.0.1', port });
  await connection.send('hello');
  expect(String(await connection.take(5))).toBe('hello');
  connection.destroy();
  return performance.now() - begun;
}

describe('three servers, of which one refuses and one never answers', () => {
  it('serve every new connection, and say which one does not and why', async () => {
    const target = await startEcho();
    onTestFinished(() => target.close());
    const [refusing, silent, good] = [await freePort(), await startSilence(), (await startServer()).port];
    const urls = [urlOf(refusing, 'refusing'), urlOf(silent, 'silent'), urlOf(good, 'good')];
    const local = await startLocal(urls);
    expect(await echo(local.port, target.port)).toBeLessThan(5_000);
    await expect.poll(() => activeOf(local.port), { timeout: 5_000 }).toBe('good');
    for (let i = 0; i < 20; i++) expect(await echo(local.port, target.port)).toBeLessThan(5_000);
    await expect
      .poll(async () => (await statusOf(local.port)).servers, { timeout: 5_000 })
      .toMatchObject([
        { name: 'refusing', health: 'unhealthy', active: false, reason: expect.stringContaining('connection refused') },
        { name: 'silent', health: 'unhealthy', active: false, reason: 'no answer within 2.5 s' },
        { name: 'good', health: 'healthy', active: true },
      ]);
    expect(local.program.output()).not.toContain(KEY);
  });
});

describe('a server that stops (SIGSTOP) under load', () => {
  it('is left within five seconds by new connections, and found healthy again once it goes on', async () => {
    const target = await startEcho();
    onTestFinished(() => target.close());
    const servers = { one: await startServer(), two: await startServer() };
    const local = await startLocal([urlOf(servers.one.port, 'one'), urlOf(servers.two.port, 'two')]);
    await expect
      .poll(async () => (await statusOf(local.port)).servers.map(({ health }) => health))
      .toEqual(['healthy', 'healthy']);
    await echo(local.port, target.port);

    const used = (await activeOf(local.port)) as 'one' | 'two';
    const spare = used === 'one' ? 'two' : 'one';
    const { child } = servers[used].program;
    child.kill('SIGSTOP');
    onTestFinished(() => void child.kill('SIGCONT'));
    const stoppedAt = performance.now();
    // New ones all the time, whatever becomes of those before.
    let isOver = false;
    const load = (async () => {
      const times: Promise<number>[] = [];
      while (!isOver) {
        times.push(echo(local.port, target.port));
        await sleep(50);
      }
      return Promise.all(times);
    })();
    await expect.poll(() => activeOf(local.port), { timeout: 10_000 }).toBe(spare);
    expect(performance.now() - stoppedAt).toBeLessThan(5_500);
    for (let i = 0; i < 20; i++) expect(await echo(local.port, target.port)).toBeLessThan(5_000);
    isOver = true;
    // Also those that had gone to the first before anybody knew: another one was asked.
    expect(Math.max(...(await load))).toBeLessThan(5_500);

    child.kill('SIGCONT');
    await expect
      .poll(async () => (await statusOf(local.port)).servers.find(({ name }) => name === used)!.health, {
        timeout: 20_000,
        interval: 200,
      })
      .toBe('healthy');
    expect(await activeOf(local.port)).toBe(spare); // it has to prove itself first
  });
});

describe('ss-local that was stopped for a while (SIGSTOP)', () => {
  it('looks at all servers anew, and serves the next request by one that is there', { timeout: 90_000 }, async () => {
    const target = await startEcho();
    onTestFinished(() => target.close());
    const [one, two] = [await startServer(), await startServer()];
    const local = await startLocal([urlOf(one.port, 'one'), urlOf(two.port, 'two'), '--preconnect', '2']);
    await expect
      .poll(async () => (await statusOf(local.port)).servers.map(({ health }) => health))
      .toEqual(['healthy', 'healthy']);
    await echo(local.port, target.port);
    local.program.child.kill('SIGSTOP');
    await sleep(31_000);
    one.program.child.kill('SIGKILL');
    await one.program.exitCode;
    local.program.child.kill('SIGCONT');
    expect(await echo(local.port, target.port)).toBeLessThan(5_000);
    expect(local.program.output()).toMatch(/this machine or process has slept/);
    await expect.poll(() => activeOf(local.port), { timeout: 5_000 }).toBe('two');
  });
});

describe('a list of servers in a file', () => {
  it('may change while ss-local runs', async () => {
    const target = await startEcho();
    onTestFinished(() => target.close());
    const [one, two] = [await startServer(), await startServer()];
    const path = join(mkdtempSync(join(tmpdir(), 'podsocks-')), 'servers.json');
    const write = (servers: readonly { readonly port: number }[]) => {
      const entries = servers.map(({ port }) => ({
        ...{ server: '127.0.0.1', server_port: port, method: METHOD, password: KEY, remarks: `s${port}` },
      }));
      writeFileSync(`${path}.new`, JSON.stringify({ version: 1, servers: entries }));
      renameSync(`${path}.new`, path);
    };
    write([one]);
    const local = await startLocal(['--servers-file', path]);
    await echo(local.port, target.port);
    expect(await activeOf(local.port)).toBe(`s${one.port}`);
    write([two]);
    await expect.poll(() => activeOf(local.port), { timeout: 10_000 }).toBe(`s${two.port}`);
    one.program.child.kill('SIGKILL');
    await echo(local.port, target.port);
  });
});

describe('a proxy on the way', () => {
  it.each(['socks5', 'http'])('may be one that speaks %s', async kind => {
    const target = await startEcho();
    onTestFinished(() => target.close());
    // ss-local is a proxy for another one; no server lets anybody go to itself.
    const proxy = await startLocal([urlOf((await startServer()).port, 'one')]);
    const url = urlOf((await startServer()).port, 'two');
    const local = await startLocal([url, '--upstream', `${kind}://127.0.0.1:${proxy.port}`]);
    await echo(local.port, target.port);
  });

  it('is told from a server when it is not there', async () => {
    const server = await startServer();
    const local = await startLocal([urlOf(server.port, 'one'), '--upstream', 'http://ada:hunter2@127.0.0.1:1']);
    await expect(echo(local.port, 1)).rejects.toThrow('SOCKS5: reply');
    await local.program.wrote(/the proxy 127\.0\.0\.1:1 cannot be reached \(ECONNREFUSED\); check --upstream/);
    expect(local.program.output()).not.toContain('hunter2');
  });
});
