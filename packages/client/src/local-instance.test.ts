import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Endpoint } from '@podsocks/shared/net/listener';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { loadLocal } from './config.ts';
import { BASIC_CHALLENGE } from './http/basic-credentials.ts';
import { fetchStatus, localEndpoint } from './local-instance.ts';
import { STATUS } from './status/status-fixtures.ts';
import { Inbox } from './udp/uplink-fixtures.ts';

function configFile(content: object): string {
  const folder = mkdtempSync(join(tmpdir(), 'podsocks-local-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'config.json');
  writeFileSync(path, JSON.stringify(content));
  return path;
}

describe('where an instance is', () => {
  it.each<[Record<string, unknown>, Record<string, string>, Endpoint]>([
    [{}, {}, { host: '127.0.0.1', port: 1080 }],
    [{ localPort: '1081' }, { SS_LOCAL_PORT: '2' }, { host: '127.0.0.1', port: 1081 }],
    [{}, { SS_LOCAL_PORT: '2', SS_LOCAL_ADDRESS: '192.0.2.1,127.0.0.1' }, { host: '192.0.2.1', port: 2 }],
    [{ localAddress: ['::1'] }, {}, { host: '::1', port: 1080 }],
    [{ localAddress: ['0.0.0.0'] }, {}, { host: '127.0.0.1', port: 1080 }],
    [{ localAddress: ['::'] }, {}, { host: '::1', port: 1080 }],
    [{ lan: true }, {}, { host: '127.0.0.1', port: 1080 }],
    [{ localPort: '1', timeout: '5', dns: true }, { SS_SERVER: 'x' }, { host: '127.0.0.1', port: 1 }],
  ])('with %j and %j is %j', (flags, env, endpoint) => {
    expect(localEndpoint(flags, env)).toEqual(endpoint);
  });

  it('is what the file says, below flags and environment', () => {
    const config = configFile({ local_port: 5, local_address: '10.0.0.1' });
    expect(localEndpoint({ config }, {})).toEqual({ host: '10.0.0.1', port: 5 });
    expect(localEndpoint({}, { SS_CONFIG: config, SS_LOCAL_PORT: '6' })).toEqual({ host: '10.0.0.1', port: 6 });
    expect(localEndpoint({ config, localPort: '7' }, { SS_LOCAL_PORT: '6' })).toMatchObject({ port: 7 });
  });

  it('needs no server to be known, nor its password', () => {
    expect(loadLocal({ passwordFile: '/no/such' }, { SS_PASSWORD: 'x' })).toEqual({
      endpoint: { host: '127.0.0.1', port: 1080 },
      access: undefined,
    });
  });

  it.each([
    [{ localPort: 'x' }, '-l (--local-port): "x" is not a port'],
    [{ localAddress: ['127.0.0.1:1'] }, '-b (--local-address): is an address with a port; give the port as -l'],
    [{ config: '/no/such' }, '/no/such'],
    [{ socksUsername: 'ada' }, '--socks-username: there is no password for it'],
  ])('is not known with %j', (flags, complaint) => {
    expect(() => localEndpoint(flags, {})).toThrow(
      expect.objectContaining({ name: 'PodsocksError', message: expect.stringContaining(complaint) }),
    );
  });
});

describe('what an instance asks for', () => {
  const users = [
    { username: 'ada', password: 'a' },
    { username: 'ben', password: 'b' },
  ];

  it('is the first user of the file, or the one of flags and environment', () => {
    const config = configFile({ socks_users: users });
    expect(loadLocal({ config }, {}).access).toEqual(users[0]);
    const env = { SS_SOCKS_USERNAME: 'cas', SS_SOCKS_PASSWORD: 'c' };
    expect(loadLocal({ config }, env).access).toEqual({ username: 'cas', password: 'c' });
  });
});

function listening(server: Server): Promise<Endpoint> {
  server.listen(0, '127.0.0.1');
  onTestFinished(() => void server.close());
  return once(server, 'listening').then(() => ({ host: '127.0.0.1', port: (server.address() as AddressInfo).port }));
}

/** A server of HTTP, and what it was asked. */
async function startHttp(answer: (request: IncomingMessage, response: ServerResponse) => void) {
  const asked: { readonly url: string | undefined; readonly authorization: string | undefined }[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((request, response) => {
    asked.push({ url: request.url, authorization: request.headers.authorization });
    answer(request, response);
  });
  server.on('connection', socket => sockets.add(socket.on('close', () => sockets.delete(socket))));
  const endpoint = await listening(server);
  onTestFinished(() => server.closeAllConnections());
  return { endpoint, asked, connections: () => sockets.size };
}

/** A server that takes connections and says what it is told to. */
async function startTcp(serve: (socket: Socket) => void): Promise<Endpoint> {
  const sockets = new Set<Socket>();
  const endpoint = await listening(
    createTcpServer(socket => {
      sockets.add(socket.on('error', () => {}));
      serve(socket);
    }),
  );
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
  });
  return endpoint;
}

/** Lets no time pass until the test says so. */
function timeOutOnDemand() {
  const controller = new AbortController();
  const timeout = vi.spyOn(AbortSignal, 'timeout').mockImplementation(() => controller.signal);
  onTestFinished(() => timeout.mockRestore());
  return { timeout, timeOut: () => controller.abort(new DOMException('late', 'TimeoutError')) };
}

const CHALLENGE = { 'WWW-Authenticate': BASIC_CHALLENGE };

describe('the status of an instance', () => {
  it('is fetched, without a password where none is given', async () => {
    const { endpoint, asked } = await startHttp((_, response) => response.end(JSON.stringify(STATUS)));
    expect(await fetchStatus(endpoint)).toEqual(STATUS);
    expect(asked).toEqual([{ url: '/v1/status', authorization: undefined }]);
  });

  it('is fetched with user name and password where it asks for them', async () => {
    const { endpoint, asked } = await startHttp((request, response) => {
      const isAsked = request.headers.authorization === undefined;
      response.writeHead(isAsked ? 401 : 200, CHALLENGE).end(JSON.stringify(STATUS));
    });
    expect(await fetchStatus(endpoint, { username: 'ada', password: 'ä:b' })).toEqual(STATUS);
    const authorization = `Basic ${Buffer.from('ada:ä:b').toString('base64')}`;
    expect(asked.map(request => request.authorization)).toEqual([undefined, authorization]);
  });

  it('is fetched without them where it does not, and then they are not told', async () => {
    const { endpoint, asked } = await startHttp((_, response) => response.end(JSON.stringify(STATUS)));
    expect(await fetchStatus(endpoint, { username: 'ada', password: 'hunter2' })).toEqual(STATUS);
    expect(asked.map(request => request.authorization)).toEqual([undefined]);
  });

  it('comes with whatever characters, in pieces', async () => {
    const status = { ...STATUS, since: '↯'.repeat(1000) };
    const { endpoint } = await startHttp(async (_, response) => {
      const body = Buffer.from(JSON.stringify(status));
      for (let at = 0; at < body.length; at += 7) {
        await new Promise(resolve => response.write(body.subarray(at, at + 7), () => setImmediate(resolve)));
      }
      response.end();
    });
    expect(await fetchStatus(endpoint)).toEqual(status);
  });

  it.each([
    { ssLocal: {} },
    { ...STATUS, ssLocal: 1 },
    { ...STATUS, servers: undefined },
    { ...STATUS, servers: [null] },
    { ...STATUS, servers: [{ ...STATUS.servers[0], roundTrip: 'soon' }] },
    { ...STATUS, route: { mode: 'all', domains: 'svc', networks: [] } },
    { ...STATUS, rates: { up: 1 } },
    { ...STATUS, dns: {} },
  ])('is refused where it is that of another version, or of nobody: %#', async status => {
    const { endpoint } = await startHttp((_, response) => response.end(JSON.stringify(status)));
    await expect(fetchStatus(endpoint)).rejects.toMatchObject({
      code: 'ERR_HEADER',
      message: `127.0.0.1:${endpoint.port} is an ss-local of another version: start it anew, or choose another port (-l)`,
    });
  });

  it('may have more than is known here', async () => {
    const status = { ...STATUS, more: 1, servers: STATUS.servers.map(server => ({ ...server, more: 1 })) };
    const { endpoint } = await startHttp((_, response) => response.end(JSON.stringify(status)));
    expect(await fetchStatus(endpoint)).toEqual(status);
  });

  it.each([{}, { 'WWW-Authenticate': 'Basic realm="router"' }])(
    'is none of another program that asks for a password, which it is not told: %j',
    async headers => {
      const { endpoint, asked } = await startHttp((_, response) => response.writeHead(401, headers).end());
      expect(await fetchStatus(endpoint, { username: 'ada', password: 'hunter2' })).toBeUndefined();
      expect(asked.map(request => request.authorization)).toEqual([undefined]);
    },
  );

  it('is refused by one that asks for another user, and the error says how to give it', async () => {
    const { endpoint, connections } = await startHttp((_, response) => {
      response.writeHead(401, CHALLENGE).write('and does not end');
    });
    timeOutOnDemand();
    const refused = fetchStatus(endpoint, { username: 'ada', password: 'hunter2' });
    await expect(refused).rejects.toThrow(
      expect.objectContaining({
        code: 'ERR_DENIED',
        message:
          `127.0.0.1:${endpoint.port} asks for a user name and password; give those of its "socks_users": ` +
          '--socks-username and --socks-password-file',
      }),
    );
    await vi.waitFor(() => expect(connections()).toBe(0));
  });

  it.each<[string, (response: ServerResponse) => void]>([
    ['something else', response => response.end('<html>')],
    ['nothing', response => response.end()],
    ['JSON of something else', response => response.end('{"status":"ok"}')],
    ['JSON that is no object', response => response.end('null')],
    ['that it has no such page', response => response.writeHead(404).end(JSON.stringify(STATUS))],
    ['that it is somewhere else', response => response.writeHead(302, { Location: '/v1/status' }).end()],
    [
      'half of it',
      response =>
        void response.writeHead(200, { 'Content-Length': '1000' }).write('{"ssLocal":', () => response.destroy()),
    ],
  ])('is none where the answer is %s', async (_, answer) => {
    const { endpoint, connections } = await startHttp((_request, response) => answer(response));
    expect(await fetchStatus(endpoint)).toBeUndefined();
    await vi.waitFor(() => expect(connections()).toBe(0));
  });

  it('is none where the answer does not end, and then nothing is left open', async () => {
    const { endpoint, connections } = await startHttp((_, response) => {
      const more = () => void response.write(Buffer.alloc(256 * 1024, ' '), error => error || setImmediate(more));
      more();
    });
    timeOutOnDemand();
    expect(await fetchStatus(endpoint)).toBeUndefined();
    await vi.waitFor(() => expect(connections()).toBe(0));
  });

  it('is none of who goes on in another protocol', async () => {
    const endpoint = await startTcp(socket => {
      socket.once('data', () => socket.write('HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n'));
    });
    expect(await fetchStatus(endpoint)).toBeUndefined();
  });

  it('is none where nobody listens', async () => {
    const server = createTcpServer();
    const endpoint = await listening(server);
    server.close();
    await once(server, 'close');
    expect(await fetchStatus(endpoint)).toBeUndefined();
  });

  it.each<[string, (socket: Socket) => void]>([
    ['does not speak HTTP', socket => socket.end('SSH-2.0-OpenSSH_9.2\r\n')],
    ['says nothing and ends', socket => socket.once('data', () => socket.end())],
    ['resets', socket => socket.once('data', () => socket.resetAndDestroy())],
  ])('is none of one that %s', async (_, serve) => {
    expect(await fetchStatus(await startTcp(serve))).toBeUndefined();
  });

  it.each<[string, (socket: Socket) => void]>([
    ['says nothing', () => {}],
    ['says nothing behind its head', socket => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n')],
    ['says nothing behind its refusal', socket => socket.write('HTTP/1.1 302 Found\r\nContent-Length: 9\r\n\r\n')],
  ])('is none of one that %s', async (_, serve) => {
    const { timeout, timeOut } = timeOutOnDemand();
    const asked = new Inbox<Socket>();
    const endpoint = await startTcp(socket => {
      serve(socket);
      socket.once('data', () => asked.put(socket));
    });
    const status = fetchStatus(endpoint);
    const socket = await asked.next();
    expect(timeout).toHaveBeenCalledWith(3_000);
    const closed = once(socket, 'close');
    timeOut();
    expect(await status).toBeUndefined();
    await closed;
  });
});
