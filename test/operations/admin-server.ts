import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import type { ServerConfig } from '@podsocks/server/config';
import type { RunningServer } from '@podsocks/server/server';
import { methodNamed } from '@podsocks/shared/crypto/methods';
import { clientStreams } from '@podsocks/shared/crypto/streams';
import { streamServices } from '@podsocks/shared/net/stream-services';
import { createLogger } from '@podsocks/shared/runtime/log';
import type { Target } from '@podsocks/shared/wire/address';
import { expect, onTestFinished } from 'vitest';
import { opened, sealed } from '../hostile/support/requests.ts';
import { ALLOW_LOOPBACK } from '../support/allow-loopback.ts';
import { backendUnderTest } from '../support/backend-under-test.ts';
import { Connection } from '../support/connection.ts';
import type { DatagramServer } from '../support/datagram-session.ts';
import { startOwnServer, WORKERS } from '../support/own-server.ts';

const METHOD = methodNamed('2022-blake3-aes-256-gcm');

/** An ss-server with an admin listener and two users. */
export interface AdminServer {
  readonly server: RunningServer;
  readonly port: number;
  readonly admin: number;
  /** What a user has to know. */
  as(user: 'ada' | 'ben' | 'nobody'): DatagramServer;
  get(path: string): Promise<{ readonly status: number; readonly body: string }>;
  /** The metrics of /metrics, by name and labels. */
  metrics(): Promise<Record<string, number>>;
}

export async function startAdminServer(settings: Partial<ServerConfig> = {}): Promise<AdminServer> {
  const newKey = () => new Uint8Array(randomBytes(METHOD.keyBytes));
  const key = newKey();
  const keys = { ada: newKey(), ben: newKey(), nobody: newKey() };
  const config: ServerConfig = {
    timeout: 20_000,
    connectTimeout: 5_000,
    handshakeTimeout: 20_000,
    drainTimeout: 20_000,
    mode: 'tcp_and_udp',
    ipv6First: false,
    noDelay: true,
    reusePort: false,
    listen: [{ host: '127.0.0.1', port: 0 }],
    admin: { host: '127.0.0.1', port: 0 },
    method: METHOD,
    cryptoBackend: backendUnderTest(METHOD),
    workers: WORKERS,
    udpTimeout: 60_000,
    policy: ALLOW_LOOPBACK,
    key,
    users: [
      { name: 'ada', key: keys.ada },
      { name: 'ben', key: keys.ben },
    ],
    ...settings,
  };
  const log = createLogger({ level: 'silent', format: 'json', name: 'test' });
  const server = await startOwnServer(config, { log });
  onTestFinished(() => server.close());
  const { port } = server.addresses[0]!;
  const admin = server.admin!.port;
  const get = async (path: string) => {
    const response = await fetch(`http://127.0.0.1:${admin}${path}`);
    return { status: response.status, body: await response.text() };
  };
  return {
    server,
    port,
    admin,
    get,
    as: user => ({ port, method: METHOD, keys: { key: keys[user], identityKeys: [key] } }),
    async metrics() {
      const { status, body } = await get('/metrics');
      expect(status).toBe(200);
      const lines = body.split('\n').filter(line => line !== '' && !line.startsWith('#'));
      return Object.fromEntries(lines.map(line => [line.replace(/ \S+$/, ''), Number(/\S+$/.exec(line))]));
    },
  };
}

/** A connection of a user to a target through nothing but ss-server. */
export class UserConnection {
  /** All that was sent first, which somebody else may send again. */
  firstFlight: Buffer | undefined;
  readonly #connection: Connection;
  readonly #sealer: ReturnType<ReturnType<typeof clientStreams>['sealRequest']>;
  readonly #opener: ReturnType<ReturnType<typeof clientStreams>['openResponse']>;

  constructor({ port, method, keys }: DatagramServer, target: Target) {
    const streams = clientStreams(streamServices(method, 'auto'));
    this.#sealer = streams.sealRequest(keys, target);
    this.#opener = streams.openResponse(keys, this.#sealer.salt);
    const socket = connect({ host: '127.0.0.1', port, noDelay: true, allowHalfOpen: true });
    onTestFinished(() => void socket.destroy());
    this.#connection = new Connection(socket);
  }

  /** Sends so many bytes and waits until an echo has sent them back. */
  async exchange(length: number): Promise<void> {
    const flight = sealed(this.#sealer, randomBytes(length));
    this.firstFlight ??= flight;
    await this.#connection.send(flight);
    let received = 0;
    while (received < length) {
      const bytes = await this.#connection.read();
      if (bytes === undefined) throw new Error('ended');
      received += opened(this.#opener, bytes).length;
    }
    expect(received).toBe(length);
  }

  /** Ends in order, and waits for the other side to do the same. */
  async end(): Promise<void> {
    this.#connection.end();
    while ((await this.#connection.read()) !== undefined);
  }

  /** Whether it is refused: it ends without an answer. */
  async isRefused(): Promise<boolean> {
    return this.exchange(1).then(
      () => false,
      () => true,
    );
  }
}
