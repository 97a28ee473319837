import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { Connection } from '../connection.ts';

/** A TCP server on loopback, to which tunnels lead. */
export interface Target {
  readonly port: number;
  /** How many connections it has taken. */
  connections(): number;
  close(): Promise<void>;
}

/** Starts a target on one port of each of the addresses, by default any that is free. A connection ends when its handler does. */
export async function startTarget(
  handle: (connection: Connection) => Promise<void>,
  hosts: readonly string[] = ['127.0.0.1'],
  fixedPort = 0,
): Promise<Target> {
  const sockets = new Set<Socket>();
  let connections = 0;
  const accept = (socket: Socket) => {
    connections++;
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    const connection = new Connection(socket);
    // What the other side did to the connection is for the test to find at its own end.
    handle(connection).then(
      () => connection.end(),
      () => connection.destroy(),
    );
  };

  let port = fixedPort;
  const servers: Server[] = [];
  for (const host of hosts) {
    const server = createServer({ allowHalfOpen: true, noDelay: true }, accept);
    server.listen({ host, port });
    await once(server, 'listening');
    port = (server.address() as AddressInfo).port;
    servers.push(server);
  }

  return {
    port,
    connections: () => connections,
    async close() {
      for (const socket of sockets) socket.destroy();
      await Promise.all(servers.map(server => new Promise(resolve => server.close(resolve))));
    },
  };
}
