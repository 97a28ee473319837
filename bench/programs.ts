import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

/** Both ends as processes of their own, as they run in earnest. */
export interface Pair {
  readonly serverPid: number;
  readonly clientPid: number;
  readonly socksPort: number;
  close(): void;
}

/** Starts ss-server and ss-local of this checkout on loopback; further arguments go to both. */
export async function startPair(method: string, password: string, extra: readonly string[] = []): Promise<Pair> {
  const serverPort = await freePort();
  const socksPort = await freePort();
  const common = ['-s', '127.0.0.1', '-p', `${serverPort}`, '-m', method, '--log-level', 'warn', ...extra];
  const server = start('server/bin/ss-server.cjs', common, password);
  const client = start('client/bin/ss-local.cjs', [...common, '-l', `${socksPort}`], password);
  await Promise.all([listening(serverPort), listening(socksPort)]);
  return {
    serverPid: server.pid!,
    clientPid: client.pid!,
    socksPort,
    close() {
      server.kill('SIGKILL');
      client.kill('SIGKILL');
    },
  };
}

function start(script: string, args: readonly string[], password: string): ChildProcess {
  const path = fileURLToPath(new URL(`../../packages/${script}`, import.meta.url));
  return spawn(process.execPath, [path, ...args], {
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, SS_PASSWORD: password },
  });
}

export async function freePort(): Promise<number> {
  const server = await listen(() => {});
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

export async function listening(port: number): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const socket = connect({ host: '127.0.0.1', port });
    const connected = await once(socket, 'connect').then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (connected) return;
    await sleep(50);
  }
  throw new Error(`nothing listens on port ${port} after 5 s`);
}

/** A target on a free port of loopback. */
export async function listen(onConnection: (socket: Socket) => void): Promise<Server> {
  const server = createServer({ noDelay: true }, socket => {
    socket.on('error', () => {});
    onConnection(socket);
  });
  server.listen({ port: 0, host: '127.0.0.1', backlog: 4096 });
  await once(server, 'listening');
  return server;
}

/** What a target does that sends so many bytes, in whole MiB, as fast as they are taken, and ends. */
export function sending(bytes: number): (socket: Socket) => void {
  const block = Buffer.alloc(1 << 20, 7);
  return socket => {
    let sent = 0;
    const send = () => {
      while (sent < bytes) {
        sent += block.length;
        if (!socket.write(block)) return;
      }
      socket.end();
    };
    socket.on('drain', send);
    send();
  };
}

/** A connection to a port of loopback through a SOCKS5 port. */
export async function connectThrough(socksPort: number, port: number): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port: socksPort, noDelay: true });
  await once(socket, 'connect');
  socket.write(Uint8Array.of(5, 1, 0));
  await read(socket, 2);
  socket.write(Uint8Array.of(5, 1, 0, 1, 127, 0, 0, 1, port >> 8, port & 0xff));
  const reply = await read(socket, 10);
  if (reply[1] !== 0) throw new Error(`SOCKS5 reply ${reply[1]}`);
  return socket;
}

/** Exactly `length` bytes; the socket is paused afterwards. */
export async function read(socket: Socket, length: number): Promise<Buffer> {
  for (;;) {
    const bytes = socket.read(length) as Buffer | null;
    if (bytes !== null) return bytes;
    await once(socket, 'readable');
  }
}

/** Resident memory of a process in bytes (Linux). */
export function residentBytes(pid: number): number {
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))!;
  return Number(kilobytes) * 1024;
}
