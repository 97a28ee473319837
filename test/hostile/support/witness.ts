import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';
import { startEcho } from '../../support/targets/echo.ts';
import type { Target } from '../../support/targets/target.ts';

/** A target, or a server, whose connections the test holds in its own hands. */
export interface Witness {
  readonly port: number;
  /** Connections so far. */
  connections(): number;
  /** The next connection that nobody has taken yet. */
  next(): Promise<Socket>;
  /** Closes all of them. */
  destroyAll(): void;
}

/** @param handle what to do with each; else they wait to be taken. */
export async function startWitness(handle?: (socket: Socket) => void): Promise<Witness> {
  const sockets: Socket[] = [];
  let taken = 0;
  const server = createServer({ allowHalfOpen: true, noDelay: true }, socket => {
    socket.on('error', () => {});
    sockets.push(socket);
    handle?.(socket);
  });
  server.listen({ host: '127.0.0.1', port: 0, backlog: 4096 });
  await once(server, 'listening');
  const destroyAll = () => {
    for (const socket of sockets) socket.destroy();
  };
  onTestFinished(() => {
    destroyAll();
    server.close();
  });
  return {
    port: (server.address() as AddressInfo).port,
    connections: () => sockets.length,
    async next() {
      const index = taken++;
      while (sockets.length <= index) await once(server, 'connection');
      return sockets[index]!;
    },
    destroyAll,
  };
}

/** An echo for one test. */
export async function startTestEcho(): Promise<Target> {
  const echo = await startEcho();
  onTestFinished(() => echo.close());
  return echo;
}
