import { existsSync, readFileSync } from 'node:fs';
import { startClient } from '@podsocks/client/client';
import { loadClient } from '@podsocks/client/config';
import { createLogger } from '@podsocks/shared/runtime/log';
import { expect, onTestFinished } from 'vitest';
import { LOOPBACK_ALLOWED } from '../support/allow-loopback.ts';
import type { Connection } from '../support/connection.ts';
import { freePort } from '../support/free-port.ts';
import { type Program, type RunOptions, run, SERVER } from '../support/own-program.ts';
import { connectThrough } from '../support/socks5-connect.ts';
import { startEcho } from '../support/targets/echo.ts';

export const WORKERS = 2;
export const KEY = Buffer.alloc(32, 7).toString('base64');

/** ss-server with workers, in processes of their own, and ss-local in the test's. */
export interface ServerWithWorkers {
  readonly server: Program;
  readonly port: number;
  /** Those of the workers that are now ready, by number. */
  pids(): Map<number, number>;
  /** What was logged so far. */
  records(): Record<string, unknown>[];
  /** Through ss-local to an echo, with a first exchange. */
  connect(): Promise<Connection>;
}

export async function startWithWorkers(
  args: readonly string[] = [],
  options: RunOptions = {},
): Promise<ServerWithWorkers> {
  const port = await freePort();
  const own = ['-s', '127.0.0.1', '-p', `${port}`, '--workers', `${WORKERS}`, '-v', '--log-format', 'json'];
  const server = run(SERVER, [...own, ...args], {
    ...options,
    env: { SS_PASSWORD: KEY, ...LOOPBACK_ALLOWED, ...options.env },
  });
  await server.wrote(/listening on/);

  const echo = await startEcho();
  onTestFinished(() => echo.close());
  const tunnel = { server: [`127.0.0.1:${port}`], password: KEY, localPort: '0' };
  const silent = createLogger({ level: 'silent', format: 'json', name: 'test' });
  const client = await startClient(loadClient(tunnel, {}).config, { log: silent });
  onTestFinished(() => client.close());

  const records = () =>
    server
      .output()
      .split('\n')
      .slice(0, -1)
      .map(line => JSON.parse(line));
  return {
    server,
    port,
    records,
    pids: () =>
      new Map(records().flatMap(({ msg, worker, pid }) => (msg === 'a worker is ready' ? [[worker, pid]] : []))),
    async connect() {
      const connection = await connectThrough(client.addresses[0]!.port, { host: '127.0.0.1', port: echo.port });
      await exchange(connection);
      return connection;
    },
  };
}

async function exchange(connection: Connection): Promise<void> {
  await connection.send('hello');
  expect(String(await connection.take(5))).toBe('hello');
}

/** Whether it still carries bytes both ways. */
export async function works(connection: Connection): Promise<boolean> {
  return exchange(connection).then(
    () => true,
    () => false,
  );
}

/** One after the other, so that each worker gets some. */
export async function connectSome({ connect }: ServerWithWorkers): Promise<Connection[]> {
  const connections = [];
  for (let count = 0; count < 2 * WORKERS; count++) connections.push(await connect());
  return connections;
}

/** One that has ended may stay in the table until somebody asks how. */
export function isAlive(pid: number): boolean {
  return existsSync(`/proc/${pid}`) && !/\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
}
