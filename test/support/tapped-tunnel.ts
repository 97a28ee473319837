import { passwordFor, startClient, startServer } from './shadowsocks-ends.ts';
import { type Tunnel, tunnelThrough } from './tunnel.ts';
import { startWireTap } from './wire-tap.ts';

export interface TappedTunnel extends Tunnel {
  /** Bytes that the client has got from the server so far. */
  received(): number;
}

/** Our client and server with a wire tap between them; `settings` are for the client. */
export async function startTappedTunnel(
  method: string,
  settings: Readonly<Record<string, unknown>> = {},
): Promise<TappedTunnel> {
  const password = passwordFor(method);
  const server = await startServer({ impl: 'podsocks', method, password });
  const tap = await startWireTap(server.port);
  try {
    const client = await startClient({ impl: 'podsocks', method, password, serverPort: tap.port, settings });
    const tunnel = tunnelThrough(client.port, [client, server]);
    return {
      ...tunnel,
      close: async () => {
        await tunnel.close();
        await tap.close();
      },
      received: tap.received,
    };
  } catch (error) {
    await tap.close();
    await server.stop();
    throw error;
  }
}
