import { setTimeout as sleep } from 'node:timers/promises';
import type { Connection } from './connection.ts';
import type { ProgramRun } from './program-run.ts';
import { type Implementation, passwordFor, startClient, startServer, type Udp } from './shadowsocks-ends.ts';
import { connectThrough, type Destination } from './socks5-connect.ts';

const EXCHANGE_LIMIT_MS = 30_000;

export type Connect = (destination: Destination) => Promise<Connection>;

/** A Shadowsocks client and server, each of any implementation. */
export interface Tunnel {
  /** Of 127.0.0.1. */
  readonly socksPort: number;
  /**
   * Runs an exchange, bounded. Its connections are destroyed afterwards, and if it fails its error tells what both ends
   * have logged.
   */
  use<T>(exchange: (connect: Connect) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

export interface TunnelOptions {
  readonly client: Implementation;
  readonly server: Implementation;
  readonly method: string;
  /** How it carries datagrams, if it does. */
  readonly udp?: Udp;
}

export async function startTunnel(options: TunnelOptions): Promise<Tunnel> {
  const { client: clientImpl, server: serverImpl, method, udp } = options;
  const password = passwordFor(method);
  const server = await startServer({ impl: serverImpl, method, password, udp });
  try {
    const client = await startClient({ impl: clientImpl, method, password, serverPort: server.port, udp });
    return tunnelThrough(client.port, [client, server]);
  } catch (error) {
    await server.stop();
    throw error;
  }
}

/** The tunnel that begins at a SOCKS port; closing it stops the ends. */
export function tunnelThrough(socksPort: number, ends: readonly ProgramRun[]): Tunnel {
  return {
    socksPort,
    async use(exchange) {
      const connections: Connection[] = [];
      const connect: Connect = async destination => {
        const connection = await connectThrough(socksPort, destination);
        connections.push(connection);
        return connection;
      };
      try {
        return await bounded(exchange(connect));
      } catch (error) {
        throw withLogs(error, ends);
      } finally {
        for (const connection of connections) connection.destroy();
      }
    },
    async close() {
      await Promise.all(ends.map(end => end.stop()));
    },
  };
}

async function bounded<T>(work: Promise<T>): Promise<T> {
  const timer = new AbortController();
  const limit = sleep(EXCHANGE_LIMIT_MS, undefined, { signal: timer.signal }).then(() => {
    throw new Error(`exchange has not ended in ${EXCHANGE_LIMIT_MS / 1000} s`);
  });
  try {
    return await Promise.race([work, limit]);
  } finally {
    timer.abort();
    limit.catch(() => {});
  }
}

function withLogs(error: unknown, ends: readonly ProgramRun[]): unknown {
  if (error instanceof Error) {
    error.message += ends.map(end => `\n--- ${end.title} wrote:\n${end.output() || '(nothing)\n'}`).join('');
  }
  return error;
}
