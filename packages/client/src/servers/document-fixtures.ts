import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';

/** A document of SIP008 with a server on each of these ports. */
export function documentOf(...ports: number[]): string {
  const common = { server: '127.0.0.1', password: 'hunter2', method: 'aes-256-gcm' };
  return JSON.stringify({
    version: 1,
    servers: ports.map(port => ({ ...common, server_port: port, remarks: `s${port}` })),
  });
}

/** A web server on this machine. @returns its URL, without a path. */
export async function startWebServer(
  serve: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<string> {
  const server = createServer(serve).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
