import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

/** Proxies in the test's own hands. */

export interface FakeProxy {
  readonly port: number;
  /** What it was asked for, `host:port`. */
  readonly asked: string[];
  /** Connections that are open. */
  open(): number;
}

export interface ProxyOptions {
  readonly user?: { readonly name: string; readonly password: string };
  /** Where to connect in place of a name. */
  readonly hosts?: Readonly<Record<string, string>>;
}

/** HTTP CONNECT. */
export async function startHttpProxy({ user, hosts = {} }: ProxyOptions = {}): Promise<FakeProxy> {
  const asked: string[] = [];
  const server = createHttpServer((_, response) => void response.writeHead(400).end());
  server.on('connect', ({ url = '', headers }, socket: Socket) => {
    const expected = user && `Basic ${Buffer.from(`${user.name}:${user.password}`).toString('base64')}`;
    if (expected !== headers['proxy-authorization']) {
      socket.end('HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="x"\r\n\r\n');
      return;
    }
    asked.push(url);
    const [, host = '', port] = /^\[?(.*?)\]?:(\d+)$/.exec(url)!;
    const target = connect({ host: hosts[host] ?? host, port: Number(port) });
    target.on('error', () => socket.end('HTTP/1.1 502 Bad Gateway\r\n\r\n'));
    target.on('connect', () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
      splice(socket, target);
    });
  });
  return { asked, ...(await listening(server)) };
}

/** SOCKS5 (RFC 1928, RFC 1929) for clients that send one message at a time. */
export async function startSocksProxy({ user, hosts = {} }: ProxyOptions = {}): Promise<FakeProxy> {
  const asked: string[] = [];
  const server = createServer({ noDelay: true }, async socket => {
    const [, count = 0] = await read(socket, 2);
    const methods = await read(socket, count);
    const wanted = user === undefined ? 0 : 2;
    if (!methods.includes(wanted)) {
      socket.end(Buffer.of(5, 0xff));
      return;
    }
    socket.write(Buffer.of(5, wanted));
    if (user !== undefined) {
      const name = await read(socket, (await read(socket, 2))[1]!);
      const password = await read(socket, (await read(socket, 1))[0]!);
      const isRight = String(name) === user.name && String(password) === user.password;
      socket.write(Buffer.of(1, isRight ? 0 : 1));
      if (!isRight) return;
    }
    const [, , , type] = await read(socket, 4);
    const length = type === 1 ? 4 : type === 4 ? 16 : (await read(socket, 1))[0]!;
    const address = await read(socket, length);
    const port = (await read(socket, 2)).readUInt16BE();
    const host = type === 3 ? String(address) : type === 1 ? address.join('.') : '::1';
    asked.push(`${host}:${port}`);
    const reply = (code: number) => Buffer.of(5, code, 0, 1, 0, 0, 0, 0, 0, 0);
    const target = connect({ host: hosts[host] ?? host, port });
    target.on('error', () => socket.end(reply(5)));
    target.on('connect', () => {
      socket.write(reply(0));
      splice(socket, target);
    });
  });
  return { asked, ...(await listening(server)) };
}

/** Somebody else: whatever `serve` does with a connection. */
export async function startStranger(serve: (socket: Socket) => void): Promise<Omit<FakeProxy, 'asked'>> {
  return listening(createServer(serve));
}

async function listening(server: Server) {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {}).on('close', () => sockets.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, open: () => sockets.size };
}

function splice(one: Socket, other: Socket): void {
  one.on('close', () => other.destroy());
  other.on('error', () => {}).on('close', () => one.destroy());
  one.pipe(other).pipe(one);
}

async function read(socket: Socket, length: number): Promise<Buffer> {
  for (;;) {
    const bytes: Buffer | null = length === 0 ? Buffer.alloc(0) : socket.read(length);
    if (bytes !== null) return bytes;
    await once(socket, 'readable');
  }
}
