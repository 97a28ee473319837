import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

export const LOOPBACK = '127.0.0.1';

/** Below what the kernel gives to outgoing connections, so that none of those is in the way. */
const [FIRST_PORT, PORTS] = [15_000, 17_000];
const ATTEMPTS = 200;
const PAUSE_MS = 25;

/** A port of loopback that nobody listens on. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = FIRST_PORT + Math.floor(Math.random() * PORTS);
    const server = createServer();
    server.listen({ port, host: LOOPBACK });
    const listening = await once(server, 'listening').then(
      () => true,
      () => false,
    );
    if (!listening) continue;
    server.close();
    await once(server, 'close');
    return port;
  }
}

/** Waits until a port accepts connections; gives up after a few seconds. */
export async function listening(port: number): Promise<void> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const socket = connect({ host: LOOPBACK, port });
    const connected = await once(socket, 'connect').then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (connected) return;
    await sleep(PAUSE_MS);
  }
  throw new Error(`nothing listens on port ${port} after ${(ATTEMPTS * PAUSE_MS) / 1000} s`);
}
