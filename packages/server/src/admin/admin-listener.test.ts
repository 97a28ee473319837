import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { createLogger } from '@podsocks/shared/runtime/log';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type AdminLimits, AdminListener, type Pages } from './admin-listener.ts';

const LIMITS: AdminLimits = { connections: 4, lifetime: 60_000 };

async function start(pages: Pages, limits: Partial<AdminLimits> = {}) {
  const log: string[] = [];
  const destination = { write: (line: string) => void log.push(line) };
  const logger = createLogger({ level: 'debug', format: 'json', name: 'test', destination });
  const listener = new AdminListener(pages, { log: logger, limits: { ...LIMITS, ...limits } });
  const { port } = await listener.listen({ host: '127.0.0.1', port: 0 });
  onTestFinished(() => listener.close());
  const open = async () => {
    const socket = connect({ host: '127.0.0.1', port });
    onTestFinished(() => void socket.destroy());
    socket.on('error', () => {});
    await once(socket, 'connect');
    return socket;
  };
  /** All that comes until the end, of what is sent. */
  const say = async (text: string) => {
    const socket = await open();
    socket.write(text);
    return heard(socket);
  };
  const get = (path: string, method = 'GET') => fetch(`http://127.0.0.1:${port}${path}`, { method });
  return { listener, log, port, open, say, get };
}

async function heard(socket: Socket): Promise<string> {
  let text = '';
  socket.setEncoding('latin1').on('data', data => {
    text += data;
  });
  await closedOf(socket);
  return text;
}

/** When it is closed, in order or not. */
const closedOf = (socket: Socket) => new Promise(resolve => socket.resume().once('close', resolve));

const hello: Pages = { '/hello': () => ({ status: 200, body: 'hello\n' }) };

describe('the admin listener', () => {
  it('answers GET and HEAD of its pages, and says no to all else', async () => {
    const { get } = await start(hello);
    const page = await get('/hello?any=thing');
    expect([page.status, await page.text(), page.headers.get('connection')]).toEqual([200, 'hello\n', 'close']);
    const head = await get('/hello', 'HEAD');
    expect([head.status, head.headers.get('content-length'), await head.text()]).toEqual([200, '6', '']);
    for (const path of ['/', '/hello/', '/constructor', '/__proto__', '/..%2fhello']) {
      expect((await get(path)).status, path).toBe(404);
    }
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
      const refused = await get('/hello', method);
      expect([refused.status, refused.headers.get('allow')]).toEqual([405, 'GET, HEAD']);
    }
  });

  it('survives a page that fails, and logs it', async () => {
    let failing = true;
    const { get, log } = await start({
      '/': async () => {
        if (failing) throw new Error('with details');
        return { status: 200, body: 'fine' };
      },
    });
    const failed = await get('/');
    expect([failed.status, await failed.text()]).toEqual([500, expect.not.stringContaining('details')]);
    expect(log.join('')).toContain('with details');
    failing = false;
    expect((await get('/')).status).toBe(200);
  });

  it.each([
    ['garbage', '\0\x16\x03\x01 not http\r\n\r\n', /^HTTP\/1\.1 400 /],
    ['headers that do not end', `GET /hello HTTP/1.1\r\nX: ${'x'.repeat(20_000)}`, /^HTTP\/1\.1 431 /],
    ['CONNECT', 'CONNECT 10.0.0.1:80 HTTP/1.1\r\nHost: a\r\n\r\n', /^$/],
    ['an upgrade', 'GET /hello HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n', /^HTTP\/1\.1 200 /],
    ['a body that never comes', 'POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n', / 405 /],
    [
      'a chunked body that is none',
      'GET /hello HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n',
      / (200|400) /,
    ],
    ['a path that is none', 'GET constructor HTTP/1.1\r\nHost: a\r\n\r\n', /^HTTP\/1\.1 400 /],
    ['a proxy request', 'GET http://10.0.0.1/hello HTTP/1.1\r\nHost: a\r\n\r\n', /^HTTP\/1\.1 404 /],
  ])('ends with %s, and goes on', async (_, request, answer) => {
    const { say, get } = await start(hello);
    expect(await say(request)).toMatch(answer);
    expect((await get('/hello')).status).toBe(200);
  });

  it('answers one request of a connection, however many come in it', async () => {
    let made = 0;
    const { say, get } = await start({ '/': () => ({ status: 200, body: `${++made}` }) });
    const text = await say('GET / HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(2_000));
    expect(text.match(/HTTP\/1\.1 200/g)?.length ?? 0).toBeLessThanOrEqual(1);
    expect(made).toBe(1);
    expect((await get('/')).status).toBe(200);
  });

  it('has room for the next, at the cost of the oldest', async () => {
    const { open, get } = await start(hello);
    const silent: Socket[] = [];
    for (let count = 0; count < LIMITS.connections; count++) silent.push(await open());
    const [first, ...others] = silent;
    const closed = closedOf(first!);
    expect((await get('/hello')).status).toBe(200);
    await closed;
    expect(others.map(socket => socket.closed)).toEqual([false, false, false]);
    for (let count = 0; count < 50; count++) expect((await get('/hello')).status).toBe(200);
  });

  it('keeps to so many, however many come at once', async () => {
    const { open, get } = await start(hello);
    const sockets = await Promise.all(Array.from({ length: 60 }, open));
    for (const socket of sockets) socket.resume();
    const left = () => sockets.filter(socket => !socket.closed).length;
    await expect.poll(left, { timeout: 5_000 }).toBe(LIMITS.connections);
    expect((await get('/hello')).status).toBe(200);
  });

  it('ends a connection when its time is over, whatever its peer does', async () => {
    const { open } = await start({ '/': () => ({ status: 200, body: 'x'.repeat(50_000_000) }) }, { lifetime: 300 });
    const silent = await open();
    const slow = await open();
    slow.write('GET / HTTP/1.1\r\n');
    const drip = setInterval(() => slow.write('X: y\r\n'), 20);
    const notReading = await open();
    notReading.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await Promise.all([silent, slow].map(closedOf));
    clearInterval(drip);
    // What is not read hides the end: it is seen when it is read.
    let length = 0;
    notReading.on('data', data => {
      length += data.length;
    });
    await closedOf(notReading);
    expect(length).toBeLessThan(50_000_000);
  });

  it('ends everything when it is closed, once or twice', async () => {
    const { listener, open, port } = await start({ '/': () => new Promise(() => {}) });
    const [silent, waiting] = [await open(), await open()];
    waiting.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    const closed = [silent, waiting].map(closedOf);
    await Promise.all([listener.close(), listener.close()]);
    await Promise.all(closed);
    await expect(fetch(`http://127.0.0.1:${port}/`)).rejects.toThrow();
  });

  it('says whose port it wanted when it cannot have it', async () => {
    const { port } = await start(hello);
    const log = createLogger({ level: 'silent', format: 'json', name: 'test' });
    const other = new AdminListener(hello, { log });
    await expect(other.listen({ host: '127.0.0.1', port })).rejects.toMatchObject({
      code: 'ERR_LISTEN',
      message: expect.stringContaining(`--admin: 127.0.0.1:${port} is taken`),
    });
  });
});
