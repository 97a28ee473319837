import { startClient } from '@podsocks/client/client';
import { loadClient } from '@podsocks/client/config';
import { loadServer } from '@podsocks/server/config';
import type { RunningServer } from '@podsocks/server/server';
import { keyText, replaceFile, testFolder } from '@podsocks/server/users/users-files-fixtures';
import { clientKeys } from '@podsocks/shared/crypto/key-derivation';
import { type Method, methodNamed } from '@podsocks/shared/crypto/methods';
import { createLogger } from '@podsocks/shared/runtime/log';
import { expect, onTestFinished } from 'vitest';
import { LOOPBACK_ALLOWED } from '../support/allow-loopback.ts';
import type { Connection } from '../support/connection.ts';
import type { DatagramServer } from '../support/datagram-session.ts';
import { freePort } from '../support/free-port.ts';
import { startOwnServer, WORKERS } from '../support/own-server.ts';
import { connectThrough, type Destination } from '../support/socks5-connect.ts';

/** The server's own key, and those of users, by name. */
export const MAIN = keyText(99);
export const KEYS = { ada: keyText(1), ben: keyText(2), cid: keyText(3), dan: keyText(4) } as const;
export type Name = keyof typeof KEYS;

/** A file of these users, each with what is given besides. */
export function usersFile(users: Partial<Record<Name, object>>): object {
  return {
    users: Object.entries(users).map(([name, terms]) => ({ name, password: KEYS[name as Name], ...terms })),
  };
}

export interface UsersServer {
  readonly server: RunningServer;
  readonly method: Method;
  /** File or directory. */
  readonly path: string;
  /** What was logged, oldest first. */
  readonly records: readonly Record<string, unknown>[];
  /** Of those, the messages that fit. */
  logged(pattern: RegExp): readonly Record<string, unknown>[];
  /** How to speak to it without ss-local. */
  as(name: Name, key?: string): DatagramServer;
  /** Through an ss-local of this user. */
  connectAs(name: Name, destination: Destination): Promise<Connection>;
  /** Replaces the file, and waits until it is used. */
  reload(content: object): Promise<void>;
}

export interface UsersServerOptions {
  readonly users?: object;
  /** In place of a file. */
  readonly path?: string;
  readonly method?: string;
  readonly workers?: number;
  readonly mode?: 'tcp_only' | 'tcp_and_udp';
  readonly timeout?: string;
  readonly config?: Record<string, unknown>;
}

/** ss-server with `--users`, as its command line would start it, and clients for its users in the test's process. */
export async function startUsersServer(options: UsersServerOptions = {}): Promise<UsersServer> {
  const { users = usersFile({ ada: {} }), workers = WORKERS, mode = 'tcp_only', timeout = '60' } = options;
  const method = methodNamed(options.method ?? '2022-blake3-aes-256-gcm');
  const path = options.path ?? `${testFolder()}/users.json`;
  if (options.path === undefined) replaceFile(path, users);
  const records: Record<string, unknown>[] = [];
  const log = createLogger({
    level: 'debug',
    format: 'json',
    name: 'test',
    destination: { write: (line: string) => void records.push(JSON.parse(line)) },
  });
  const password = method.generation === 'sip022' ? { password: MAIN } : {};
  const flags = { ...password, users: path, method: method.name, mode, timeout, server: ['127.0.0.1'] };
  const port = await freePort();
  const loaded = loadServer({ ...flags, serverPort: `${port}`, workers: `${workers}` }, LOOPBACK_ALLOWED);
  const server = await startOwnServer({ ...loaded.config, ...options.config }, { log });
  onTestFinished(() => server.close());

  const logged = (pattern: RegExp) => records.filter(({ msg }) => pattern.test(String(msg)));
  const passwordOf = (key: string) => (method.identityHeaders ? `${MAIN}:${key}` : key);
  const silent = createLogger({ level: 'silent', format: 'json', name: 'test' });
  const socksPorts = new Map<Name, Promise<number>>();
  const startFor = async (name: Name) => {
    const its = {
      server: [`127.0.0.1:${port}`],
      password: passwordOf(KEYS[name]),
      method: method.name,
      localPort: '0',
    };
    const client = await startClient(loadClient({ ...its, timeout: '60' }, {}).config, { log: silent });
    onTestFinished(() => client.close());
    return client.addresses[0]!.port;
  };
  return {
    ...{ server, method, path, records, logged },
    as: (name, key = KEYS[name]) => ({ port, method, keys: clientKeys(method, passwordOf(key)) }),
    async connectAs(name, destination) {
      const socksPort = socksPorts.get(name) ?? startFor(name);
      socksPorts.set(name, socksPort);
      return connectThrough(await socksPort, destination);
    },
    async reload(content) {
      const before = logged(/^users reloaded/).length;
      replaceFile(path, content);
      await expect.poll(() => logged(/^users reloaded/).length, { timeout: 10_000 }).toBe(before + 1);
    },
  };
}

/** Whether bytes come back over it. */
export async function echoes(connection: Connection, text = 'hello'): Promise<boolean> {
  try {
    await connection.send(text);
    return String(await connection.take(text.length)) === text;
  } catch {
    return false;
  }
}

/** Whether a user gets through to an echo, with a connection of their own. Who is no user hears nothing at all. */
export async function getsIn({ connectAs }: UsersServer, name: Name, destination: Destination): Promise<boolean> {
  const connecting = connectAs(name, destination).catch(() => undefined);
  const trial = connecting.then(connection => connection !== undefined && echoes(connection));
  const patience = new Promise<false>(resolve => setTimeout(resolve, 1000, false));
  const result = await Promise.race([trial, patience]);
  void connecting.then(connection => connection?.destroy());
  return result;
}
