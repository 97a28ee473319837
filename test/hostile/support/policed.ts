import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import type { ServerConfig } from '@podsocks/server/config';
import type { ClientKeys } from '@podsocks/shared/crypto/key-derivation';
import type { Method } from '@podsocks/shared/crypto/methods';
import { clientStreams } from '@podsocks/shared/crypto/streams';
import { streamServices } from '@podsocks/shared/net/stream-services';
import { createLogger } from '@podsocks/shared/runtime/log';
import type { Target } from '@podsocks/shared/wire/address';
import { onTestFinished } from 'vitest';
import { backendUnderTest } from '../../support/backend-under-test.ts';
import { Connection } from '../../support/connection.ts';
import type { DatagramServer } from '../../support/datagram-session.ts';
import { startOwnServer, WORKERS } from '../../support/own-server.ts';
import { COMMON, freshKey, LOOPBACK } from './ends.ts';
import { opened, sealed } from './requests.ts';

export const USERS = ['alice', 'bob'] as const;

export type UserName = (typeof USERS)[number];

/** An ss-server with two users, who may go where its policy says, and no further. */
export interface Policed {
  readonly port: number;
  /** What it has logged. */
  readonly records: readonly Record<string, unknown>[];
  /** How a user speaks to it. */
  as(user: UserName): DatagramServer;
  /** Ends it when no datagram is on its way any more. */
  drain(): Promise<void>;
}

export async function startPoliced(
  method: Method,
  policy: ServerConfig['policy'],
  settings: Partial<ServerConfig> = {},
): Promise<Policed> {
  const key = freshKey(method);
  const users = USERS.map(name => ({ name, key: freshKey(method) }));
  const records: Record<string, unknown>[] = [];
  const destination = { write: (line: string) => void records.push(JSON.parse(line)) };
  const config: ServerConfig = {
    ...COMMON,
    cryptoBackend: backendUnderTest(method),
    connectTimeout: 5_000,
    drainTimeout: 10_000,
    listen: LOOPBACK,
    mode: 'tcp_and_udp',
    method,
    workers: WORKERS,
    udpTimeout: 300_000,
    policy,
    ...(method.identityHeaders && { key }),
    users,
    ...settings,
  };
  const log = createLogger({ level: 'debug', format: 'json', name: 'hostile', destination });
  const server = await startOwnServer(config, { log });
  onTestFinished(() => server.close());
  const { port } = server.addresses[0]!;
  return {
    port,
    records,
    as(name) {
      const user = users.find(each => each.name === name)!;
      const keys: ClientKeys = { key: user.key, identityKeys: method.identityHeaders ? [key] : [] };
      return { port, method, keys };
    },
    drain: () => server.drain(),
  };
}

/**
 * What becomes of a request for a target, as it stands: no SOCKS in between that would give it another form.
 *
 * @returns 'reached' if an echo answers, else how the connection ended.
 */
export async function reach({ port, method, keys }: DatagramServer, target: Target): Promise<string> {
  const streams = clientStreams(streamServices(method, 'auto'));
  const sealer = streams.sealRequest(keys, target);
  const opener = streams.openResponse(keys, sealer.salt);
  const socket = connect({ host: '127.0.0.1', port, noDelay: true });
  const connection = new Connection(socket);
  const payload = randomBytes(16);
  try {
    await connection.send(sealed(sealer, payload));
    const parts: Buffer[] = [];
    for (let length = 0; length < payload.length; length = Buffer.concat(parts).length) {
      const bytes = await connection.read();
      if (bytes === undefined) return 'ended';
      parts.push(opened(opener, bytes));
    }
    return payload.equals(Buffer.concat(parts)) ? 'reached' : 'something else';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  } finally {
    socket.destroy();
  }
}
