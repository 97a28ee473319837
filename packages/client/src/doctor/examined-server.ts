import type { ClientStreams, StreamServices } from '@podsocks/shared/crypto/stream';
import { clientStreams } from '@podsocks/shared/crypto/streams';
import type { Connection } from '@podsocks/shared/net/connection';
import { streamServices } from '@podsocks/shared/net/stream-services';
import type { ClientConfig } from '../config.ts';
import type { ReachServer } from '../servers/dial-server.ts';
import type { Server } from '../servers.ts';

/** A server that is looked at by itself, with nobody choosing among it and others. */
export interface ExaminedServer {
  readonly server: Server;
  readonly keys: Server['keys'];
  readonly services: StreamServices;
  readonly streams: ClientStreams;
  /** @param timeout milliseconds. @throws PodsocksError. */
  dial(timeout: number): Promise<Connection>;
  /** What is between here and it, in words: a proxy, a plugin. */
  readonly through: string | undefined;
}

/** @param through what the dialler goes through, if it does. */
export function examinedServer(
  server: Server,
  { cryptoBackend }: Pick<ClientConfig, 'cryptoBackend'>,
  dialServer: ReachServer,
  through?: string,
): ExaminedServer {
  const services = streamServices(server.method, cryptoBackend);
  return {
    server,
    keys: server.keys,
    services,
    streams: clientStreams(services),
    dial: timeout => dialServer(server, { timeout }),
    through,
  };
}
