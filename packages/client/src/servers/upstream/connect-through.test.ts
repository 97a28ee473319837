import { once } from 'node:events';
import { connect } from 'node:net';
import { attemptTimeout } from '@podsocks/shared/net/dial';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { answerInformation, startFakeServer } from '../../server-fixtures.ts';
import { probeServer } from '../../server-probe.ts';
import { serverDialler } from '../dial-server.ts';
import { connectThrough, type ThroughOptions } from './connect-through.ts';
import { startHttpProxy, startSocksProxy, startStranger } from './proxy-fixtures.ts';
import type { Upstream } from './upstream.ts';

vi.mock('node:net', async original => {
  const net = await original<typeof import('node:net')>();
  return { ...net, connect: vi.fn(net.connect) };
});

const OPTIONS: ThroughOptions = { timeout: 2_000, noDelay: true, ipv6First: false };
const USER = { name: 'ada', password: 'hunter2' };
const KINDS = [
  ['socks5', startSocksProxy],
  ['http', startHttpProxy],
] as const;

const to = { host: 'server.example', port: 8388 };
const by = (kind: Upstream['kind'], port: number, user?: typeof USER): Upstream => ({
  ...{ kind, host: '127.0.0.1', port },
  ...(user && { user }),
});

describe.each(KINDS)('by a proxy that speaks %s', (kind, start) => {
  it('a server is reached by its name, which the proxy looks up', async () => {
    const fake = await startFakeServer(asked => answerInformation(asked));
    const { port } = fake.server;
    const proxy = await start({ hosts: { 'server.example': '127.0.0.1' } });
    const dialServer = serverDialler({ upstream: by(kind, proxy.port), ipv6First: false, noDelay: true });
    const outcome = await probeServer({
      ...fake,
      dialServer: timeout => dialServer({ host: 'server.example', port }, { timeout }),
      timeout: 2_000,
      signal: new AbortController().signal,
    });
    expect(outcome).toMatchObject({ kind: 'podsocks' });
    expect(proxy.asked).toEqual([`server.example:${port}`]);
    await expect.poll(proxy.open).toBe(0);
  });

  it('a name that is not ASCII is given as DNS has it, or not at all', async () => {
    const { server } = await startFakeServer(() => {});
    const proxy = await start({ hosts: { 'xn--bcher-kva.example': '127.0.0.1' } });
    const upstream = by(kind, proxy.port);
    (await connectThrough(upstream, { ...server, host: 'b\u00fccher.example' }, OPTIONS)).destroy();
    for (const host of ['\u0000', 'x\u001b', 'x'.repeat(256)]) {
      await expect(connectThrough(upstream, { ...server, host }, OPTIONS)).rejects.toMatchObject({ code: 'ERR_DIAL' });
    }
    expect(proxy.asked).toEqual([`xn--bcher-kva.example:${server.port}`]);
  });

  it('a plain server is known by its silence, whatever the proxy has said before', async () => {
    const fake = await startFakeServer(({ socket }) => void socket.end());
    const proxy = await start();
    const dialServer = serverDialler({ upstream: by(kind, proxy.port), ipv6First: false, noDelay: true });
    const signal = new AbortController().signal;
    const dial = (timeout: number) => dialServer(fake.server, { timeout });
    expect(await probeServer({ ...fake, dialServer: dial, timeout: 2_000, signal })).toMatchObject({ kind: 'plain' });
  });

  it('the connection does not read before it is told to', async () => {
    const server = await startStranger(socket => void setTimeout(() => socket.write('late'), 50));
    const proxy = await start();
    const dialServer = serverDialler({ upstream: by(kind, proxy.port), ipv6First: false, noDelay: true });
    const connection = await dialServer({ host: '127.0.0.1', port: server.port }, { timeout: 2_000 });
    await new Promise(resolve => setTimeout(resolve, 100));
    const heard = new Promise(resolve => {
      connection.receive = (input, length) => {
        resolve(Buffer.from(input.subarray(0, length)).toString());
        return true;
      };
    });
    connection.socket.resume();
    expect(await heard).toBe('late');
    connection.close();
  });

  it('user and password are given', async () => {
    const fake = await startFakeServer(() => {});
    const proxy = await start({ user: USER });
    const { host, port } = fake.server;
    (await connectThrough(by(kind, proxy.port, USER), { host, port }, OPTIONS)).destroy();
    expect(proxy.asked).toHaveLength(1);
    for (const user of [undefined, { ...USER, password: 'hunter3' }]) {
      const error = await connectThrough(by(kind, proxy.port, user), { host, port }, OPTIONS).catch(thrown => thrown);
      expect(error).toMatchObject({
        code: 'ERR_DIAL',
        message: expect.stringMatching(/^the proxy 127.0.0.1:\d+ refuses/),
      });
      expect(error.message).toMatch(user ? /user and password/ : /put user:password@ into/);
      expect(error.message).not.toContain('hunter');
    }
    await expect.poll(proxy.open).toBe(0);
  });

  it('each address of its name has its time, and no timer stays behind', async () => {
    const { server } = await startFakeServer(() => {});
    const proxy = await start();
    const timers = vi.spyOn(globalThis, 'setTimeout');
    onTestFinished(() => timers.mockRestore());
    (await connectThrough(by(kind, proxy.port), server, OPTIONS)).destroy();
    expect(connect).toHaveBeenCalledWith(
      expect.objectContaining({ port: proxy.port, autoSelectFamilyAttemptTimeout: attemptTimeout(OPTIONS.timeout) }),
    );
    // The library's own is never cleared, so it has to be short.
    expect(Math.max(...timers.mock.calls.map(([, delay = 0]) => delay))).toBeLessThanOrEqual(OPTIONS.timeout + 1_000);
  });

  it('a server that the proxy does not reach is told from the proxy', async () => {
    const proxy = await start({ hosts: { 'server.example': '127.0.0.1' } });
    await expect(connectThrough(by(kind, proxy.port), { ...to, port: 1 }, OPTIONS)).rejects.toMatchObject({
      code: 'ERR_DIAL',
      message: expect.stringMatching(/^the proxy 127\.0\.0\.1:\d+ has not reached server\.example:1: /),
    });
  });

  it('a proxy that is not there is said to be', async () => {
    await expect(connectThrough(by(kind, 1), to, OPTIONS)).rejects.toMatchObject({
      code: 'ERR_DIAL',
      message: 'the proxy 127.0.0.1:1 cannot be reached (ECONNREFUSED); check --upstream',
    });
  });

  it('a proxy that is silent has its time', async () => {
    const stranger = await startStranger(socket => void socket.resume());
    await expect(connectThrough(by(kind, stranger.port), to, { ...OPTIONS, timeout: 200 })).rejects.toMatchObject({
      code: 'ERR_TIMEOUT',
      message: `the proxy 127.0.0.1:${stranger.port} does not say whether it has reached server.example:8388 within 0.2 s`,
    });
    await expect.poll(stranger.open).toBe(0);
  });

  it('a request that is given up leaves nothing', async () => {
    const stranger = await startStranger(socket => void socket.resume());
    const giveUp = new AbortController();
    const reached = connectThrough(by(kind, stranger.port), to, { ...OPTIONS, signal: giveUp.signal });
    await expect.poll(stranger.open).toBe(1);
    giveUp.abort();
    await expect(reached).rejects.toMatchObject({ code: 'ERR_CLOSED' });
    await expect.poll(stranger.open).toBe(0);
  });

  it.each<[string, string | Buffer | undefined, RegExp]>([
    ['closes', undefined, /has closed the connection|is it/],
    ['speaks something else', 'SSH-2.0-OpenSSH_9.9\r\n', /does not speak|has failed|no way to authenticate|speaks/],
    ['says nothing that means anything', Buffer.alloc(300, 7), /does not speak|has failed|no way to authenticate/],
  ])('a stranger who %s is no proxy', async (_, says, complaint) => {
    const stranger = await startStranger(socket => {
      socket.once('data', () => (says === undefined ? socket.destroy() : socket.end(says)));
    });
    await expect(connectThrough(by(kind, stranger.port), to, OPTIONS)).rejects.toMatchObject({
      code: 'ERR_DIAL',
      message: expect.stringMatching(complaint),
    });
    await expect.poll(stranger.open).toBe(0);
  });
});

describe('what comes before anybody has asked', () => {
  it('by an http proxy is refused, not lost', async () => {
    const stranger = await startStranger(socket => {
      socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\n\r\nearly'));
    });
    await expect(connectThrough(by('http', stranger.port), to, OPTIONS)).rejects.toThrow(
      'speaks before it is spoken to',
    );
  });

  it('by a SOCKS5 proxy is refused, not lost', async () => {
    const stranger = await startStranger(async socket => {
      await once(socket, 'data');
      socket.write(Buffer.of(5, 0));
      await once(socket, 'data');
      socket.write(Buffer.concat([Buffer.of(5, 0, 0, 1, 0, 0, 0, 0, 0, 0), Buffer.from('early')]));
    });
    await expect(connectThrough(by('socks5', stranger.port), to, OPTIONS)).rejects.toThrow(
      'speaks before it is spoken to',
    );
  });
});
