import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import type { Endpoint } from '../net/acceptor.ts';
import { listenError } from '../net/listen-error.ts';
import { reachedAt } from '../net/wildcard.ts';

/** A connect to this machine takes no longer, or nobody accepts. */
const CONNECT_MS = 1_000;

/**
 * Makes sure that a plugin could listen there: it would say so in words of its own, and somebody else who listens would be
 * taken for it.
 *
 * @param endpoint port 0: any that is free.
 * @returns where.
 * @throws PodsocksError ERR_LISTEN if somebody listens already, or the address is not one of this machine.
 */
export async function freeEndpoint(endpoint: Endpoint): Promise<Endpoint> {
  const server = createServer();
  try {
    server.listen({ ...endpoint, exclusive: true });
    await once(server, 'listening');
    return { host: endpoint.host, port: (server.address() as AddressInfo).port };
  } catch (error) {
    // A plugin may have the right to low ports that we lack.
    if ((error as NodeJS.ErrnoException).code === 'EACCES') return endpoint;
    throw listenError('TCP', endpoint, error as Error);
  } finally {
    if (server.listening) await new Promise(resolve => server.close(resolve));
  }
}

/** Whether somebody accepts connections there, on this machine. */
export async function isAccepting({ host, port }: Endpoint): Promise<boolean> {
  const socket = connect({ host: reachedAt(host), port, signal: AbortSignal.timeout(CONNECT_MS) });
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
