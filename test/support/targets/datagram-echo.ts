import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';

/** A UDP socket on loopback that sends back what it gets. */
export interface DatagramEcho {
  readonly port: number;
  /** How many datagrams it has got. */
  datagrams(): number;
  close(): Promise<void>;
}

/** What a burst may pile up, beyond which the kernel drops. It gives no more than net.core.rmem_max. */
const RECEIVE_BUFFER_BYTES = 2 * 1024 * 1024;

/** Starts an echo on one port of each of the addresses. */
export async function startDatagramEcho(hosts: readonly string[] = ['127.0.0.1']): Promise<DatagramEcho> {
  let datagrams = 0;
  let port = 0;
  const sockets: Socket[] = [];
  for (const host of hosts) {
    const socket = createSocket({ type: host.includes(':') ? 'udp6' : 'udp4', recvBufferSize: RECEIVE_BUFFER_BYTES });
    socket.on('message', (bytes, from) => {
      datagrams++;
      // That its sender is gone is nothing to an echo.
      socket.send(bytes, from.port, from.address, () => {});
    });
    socket.bind(port, host);
    await once(socket, 'listening');
    socket.on('error', () => {});
    port = socket.address().port;
    sockets.push(socket);
  }
  return {
    port,
    datagrams: () => datagrams,
    async close() {
      await Promise.all(sockets.map(socket => new Promise<void>(resolve => socket.close(resolve))));
    },
  };
}
