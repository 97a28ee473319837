import { randomBytes } from 'node:crypto';
import { type RunningClient, startClient } from '@podsocks/client/client';
import type { ClientConfig } from '@podsocks/client/config';
import type { Server } from '@podsocks/client/servers';
import type { ServerConfig } from '@podsocks/server/config';
import type { RunningServer } from '@podsocks/server/server';
import { clientKeys, serverKey } from '@podsocks/shared/crypto/key-derivation';
import { methodNamed } from '@podsocks/shared/crypto/methods';
import type { Logger } from '@podsocks/shared/runtime/log';
import { createLogger } from '@podsocks/shared/runtime/log';
import { onTestFinished } from 'vitest';
import { ALLOW_LOOPBACK } from './allow-loopback.ts';
import { backendUnderTest } from './backend-under-test.ts';
import type { Connection } from './connection.ts';
import { startOwnServer, WORKERS } from './own-server.ts';
import { PLAIN_CLIENT } from './plain-client.ts';
import { connectThrough, type Destination } from './socks5-connect.ts';

/** ss-server and ss-local in the test's process. */
export interface Pair {
  readonly server: RunningServer;
  readonly client: RunningClient;
  readonly socksPort: number;
  /** The server, as the client's configuration has it. */
  readonly toServer: Server;
  /** What both have logged, as JSON lines. */
  readonly log: readonly string[];
  connect(destination: Destination): Promise<Connection>;
}

export interface PairOptions {
  readonly method?: string;
  readonly users?: readonly string[];
  /** The user whose key the client has; the first one if there are any. */
  readonly as?: string;
  readonly server?: Partial<ServerConfig>;
  readonly client?: Partial<ClientConfig>;
}

const COMMON = {
  timeout: 10_000,
  connectTimeout: 2_000,
  handshakeTimeout: 5_000,
  drainTimeout: 5_000,
  mode: 'tcp_only',
  ipv6First: false,
  noDelay: true,
  reusePort: false,
} as const;

const LOOPBACK = [{ host: '127.0.0.1', port: 0 }];

/** Starts both and ends them with the test. */
export async function startPair(options: PairOptions = {}): Promise<Pair> {
  const method = methodNamed(options.method ?? '2022-blake3-aes-256-gcm');
  const log: string[] = [];
  const logger: Logger = createLogger({
    level: 'debug',
    format: 'json',
    name: 'test',
    destination: { write: (line: string) => void log.push(line) },
  });
  const password = randomBytes(method.keyBytes).toString('base64');
  const users = (options.users ?? []).map(name => ({
    name,
    password: randomBytes(method.keyBytes).toString('base64'),
  }));
  const server = await startOwnServer(
    {
      ...COMMON,
      listen: LOOPBACK,
      method,
      cryptoBackend: backendUnderTest(method),
      workers: WORKERS,
      udpTimeout: 300_000,
      policy: ALLOW_LOOPBACK,
      key: serverKey(method, password),
      users: users.map(user => ({ name: user.name, key: serverKey(method, user.password) })),
      ...options.server,
    },
    { log: logger },
  );
  onTestFinished(() => server.close());
  const user = users.find(({ name }) => name === options.as) ?? users[0];
  const ownPassword = user?.password ?? password;
  const toServer: Server = {
    ...server.addresses[0]!,
    method,
    keys: clientKeys(method, user && method.identityHeaders ? `${password}:${ownPassword}` : ownPassword),
  };
  const client = await startClient(
    {
      ...COMMON,
      listen: LOOPBACK,
      servers: [toServer],
      ...PLAIN_CLIENT,
      cryptoBackend: backendUnderTest(method),
      ...options.client,
    },
    { log: logger },
  );
  onTestFinished(() => client.close());
  const socksPort = client.addresses[0]!.port;
  return { server, client, socksPort, toServer, log, connect: destination => connectThrough(socksPort, destination) };
}
