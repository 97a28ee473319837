import { once } from 'node:events';
import { createServer as createHttpServer, type RequestListener, type Server } from 'node:http';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { Connection } from '@podsocks/shared/net/connection';
import { ConnectionDuplex } from '@podsocks/shared/net/connection-duplex';
import { dial } from '@podsocks/shared/net/dial';
import { createLogger } from '@podsocks/shared/runtime/log';
import { formatTarget } from '@podsocks/shared/wire/address';
import { onTestFinished } from 'vitest';
import type { ConnectRequest } from '../connect-request.ts';
import { HttpFrontend, type HttpFrontendOptions } from './http-frontend.ts';

export interface FrontendUnderTest {
  readonly frontend: HttpFrontend;
  readonly port: number;
  /** `user@target` of each stream that was opened. */
  readonly opened: string[];
  readonly streams: ConnectionDuplex[];
  readonly connects: { readonly connection: Connection; readonly request: ConnectRequest; readonly client: string }[];
  readonly accepted: Connection[];
  readonly admitted: Set<Connection>;
  readonly log: readonly string[];
  /** A client that has sent this. */
  client(bytes?: string | Uint8Array): Promise<HttpTestClient>;
  /** All that comes for these bytes until the connection ends, and whether it did in order. */
  exchange(bytes: string | Uint8Array): Promise<{ readonly text: string; readonly error: string | undefined }>;
}

export interface HttpTestClient {
  readonly socket: Socket;
  /** All that came so far, a character for each byte. */
  text(): string;
  /** Resolves when all that came has this. */
  got(pattern: RegExp): Promise<RegExpExecArray>;
  /** Resolves when it is over, with the code of what went wrong. */
  readonly over: Promise<string | undefined>;
}

/** A frontend behind a port, whose streams are plain connections to where they are asked for. */
export async function startFrontend(options: Partial<HttpFrontendOptions> = {}): Promise<FrontendUnderTest> {
  const opened: string[] = [];
  const streams: ConnectionDuplex[] = [];
  const connects: { connection: Connection; request: ConnectRequest; client: string }[] = [];
  const accepted: Connection[] = [];
  const admitted = new Set<Connection>();
  const log: string[] = [];
  const frontend = new HttpFrontend({
    users: [],
    async openStream(target, { username = '' }) {
      opened.push(`${username}@${formatTarget(target)}`);
      const { host, port } = target;
      const stream = new ConnectionDuplex(await dial({ host, port, timeout: 2000, ipv6First: false, noDelay: true }));
      streams.push(stream);
      return stream;
    },
    connect: (connection, request, client) => void connects.push({ connection, request, client }),
    pages: new Map(),
    isLocal: () => true,
    admit: connection => void admitted.add(connection),
    handshakeTimeout: 60_000,
    idleTimeout: 60_000,
    log: createLogger({
      level: 'debug',
      format: 'json',
      name: 'test',
      destination: { write: (line: string) => void log.push(line) },
    }),
    ...options,
  });
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, socket => {
    const connection = Connection.adopt(socket);
    accepted.push(connection);
    connection.receive = (input, length) => {
      frontend.take(connection, Uint8Array.from(input.subarray(0, length)), '192.0.2.1');
      return false;
    };
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  onTestFinished(() => {
    server.close();
    frontend.close();
    for (const connection of accepted) connection.socket.destroy();
  });
  const client = async (bytes?: string | Uint8Array) => {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    onTestFinished(() => void socket.destroy());
    const made = clientOf(socket);
    await once(socket, 'connect');
    if (bytes !== undefined) socket.write(bytes);
    return made;
  };
  return {
    frontend,
    port,
    opened,
    streams,
    connects,
    accepted,
    admitted,
    log,
    client,
    async exchange(bytes) {
      const { over, text, socket } = await client(bytes);
      socket.once('end', () => socket.end());
      const error = await over;
      return { text: text(), error };
    },
  };
}

function clientOf(socket: Socket): HttpTestClient {
  let text = '';
  let heard = () => {};
  socket.setEncoding('latin1').on('data', chunk => {
    text += chunk;
    heard();
  });
  const over = new Promise<string | undefined>(resolve => {
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code));
    socket.once('end', () => setImmediate(() => setImmediate(() => resolve(undefined))));
  });
  return {
    socket,
    over,
    text: () => text,
    got: pattern =>
      new Promise((resolve, reject) => {
        const look = () => {
          const found = pattern.exec(text);
          if (found !== null) resolve(found);
        };
        heard = look;
        void over.then(code => reject(new Error(`it ended (${code}) without ${pattern}:\n${text}`)));
        look();
      }),
  };
}

/** events.once would reject when an error comes first. */
export function closed(socket: Socket): Promise<void> {
  return new Promise(resolve => {
    if (socket.closed) resolve();
    else socket.once('close', () => resolve());
  });
}

/** A server of HTTP to be asked through the frontend. */
export async function startOrigin(
  listener?: RequestListener,
): Promise<{ readonly server: Server; readonly url: string; readonly port: number; readonly sockets: Set<Socket> }> {
  const server = createHttpServer({ maxHeaderSize: 128 * 1024 }, listener ?? (() => {}));
  const sockets = new Set<Socket>();
  server.on('connection', socket => void sockets.add(socket));
  return { server, sockets, ...(await listening(server)) };
}

/** One that speaks byte by byte. */
export async function startRawOrigin(
  serve: (socket: Socket) => void,
): Promise<{ readonly url: string; readonly port: number; readonly sockets: Set<Socket> }> {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, socket => {
    sockets.add(socket);
    socket.on('error', () => {});
    serve(socket);
  });
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
  });
  return { sockets, ...(await listening(server)) };
}

/** An origin that waits for a head, keeps it, and says this. */
export async function startSpeaker(answer: string | Uint8Array, ends = true) {
  const requests: string[] = [];
  const origin = await startRawOrigin(socket => {
    let text = '';
    socket.setEncoding('latin1').on('data', chunk => {
      text += chunk;
      if (!text.includes('\r\n\r\n')) return;
      requests.push(text);
      text = '';
      socket.write(answer);
      if (ends) socket.end();
    });
  });
  return { ...origin, requests };
}

async function listening(server: Server | ReturnType<typeof createServer>) {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  onTestFinished(() => {
    if ('closeAllConnections' in server) server.closeAllConnections();
    server.close();
  });
  return { port, url: `http://127.0.0.1:${port}` };
}
