import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** Sits between the two ends of a tunnel and counts, which proves that a program's traffic went through it. */
export interface WireTap {
  readonly port: number;
  /** Bytes that came from the server so far. */
  received(): number;
  close(): Promise<void>;
}

export async function startWireTap(serverPort: number): Promise<WireTap> {
  const sockets = new Set<Socket>();
  let received = 0;
  const server = createServer({ allowHalfOpen: true, noDelay: true }, near => {
    const far = connect({ host: '127.0.0.1', port: serverPort, allowHalfOpen: true, noDelay: true });
    far.on('data', bytes => {
      received += bytes.length;
    });
    near.pipe(far).pipe(near);
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(socket);
      socket.on('error', () => other.destroy());
      socket.on('close', () => sockets.delete(socket));
    }
  });
  server.listen({ host: '127.0.0.1', port: 0 });
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    received: () => received,
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise(resolve => server.close(resolve));
    },
  };
}
