import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PseudoRandom, sha256 } from '../pseudo-random.ts';

const BODY = new PseudoRandom('http').take(512 * 1024);

export const HTTP_BODY_BYTES = BODY.length;
export const HTTP_BODY_SHA256 = sha256(BODY);

/** An HTTP server that answers every request with the same body. */
export async function startHttp(): Promise<{ readonly port: number; close(): Promise<void> }> {
  const server = createServer((_request, response) => response.end(BODY));
  server.listen({ host: '127.0.0.1', port: 0 });
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      server.closeAllConnections();
      await new Promise(resolve => server.close(resolve));
    },
  };
}
