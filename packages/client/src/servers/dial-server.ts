import { Connection } from '@podsocks/shared/net/connection';
import { dial } from '@podsocks/shared/net/dial';
import type { Endpoint } from '@podsocks/shared/net/listener';
import type { Server } from '../servers.ts';
import { connectThrough } from './upstream/connect-through.ts';
import type { Upstream } from './upstream/upstream.ts';

/** What of the configuration a connection to a server needs. */
export interface DialConfig {
  /** Of several addresses of a name, or of the proxy's, try IPv6 first. */
  readonly ipv6First: boolean;
  readonly noDelay: boolean;
  /** The proxy by which servers are reached. */
  readonly upstream?: Upstream;
}

export interface DialServerOptions {
  /** Milliseconds for everything. */
  readonly timeout: number;
  /** Gives it up. */
  readonly signal?: AbortSignal | undefined;
}

/** Connects to a server. @throws PodsocksError ERR_DIAL, ERR_TIMEOUT, or ERR_CLOSED where it was given up. */
export type DialServer = (server: Endpoint, options: DialServerOptions) => Promise<Connection>;

/** The same for a server of which more may have to be known: what it is reached through. */
export type ReachServer = (server: Server, options: DialServerOptions) => Promise<Connection>;

/** The way to the servers: directly, or by a proxy. The connection does not read yet. */
export function serverDialler({ upstream, ipv6First, noDelay }: DialConfig): DialServer {
  if (upstream === undefined) {
    return ({ host, port }, { timeout, signal }) => dial({ host, port, timeout, ipv6First, noDelay, signal });
  }
  return async ({ host, port }, { timeout, signal }) => {
    const options = { timeout, noDelay, ipv6First, ...(signal && { signal }) };
    const connection = Connection.adopt(await connectThrough(upstream, { host, port }, options));
    connection.socket.pause(); // an adopted one begins to read by itself
    return connection;
  };
}
