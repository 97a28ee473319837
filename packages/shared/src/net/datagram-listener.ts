import { lookup } from 'node:dns/promises';
import type { Endpoint } from './acceptor.ts';
import { DatagramSocket, type Origin } from './datagram-socket.ts';
import { listenError } from './listen-error.ts';

/** A burst of so much may come while the process does something else; the system may give less. */
const RECEIVE_BUFFER_BYTES = 2 * 1024 * 1024;

/**
 * Sockets of one port, where the system shares one out (see {@link DatagramListenerOptions.sharePort}). It gives each sender
 * one of them, so one that floods fills one buffer, and the event loop reads from all of them in turn: the others go on.
 */
const SOCKETS_PER_PORT = 16;

export interface DatagramListenerOptions {
  /** Whether sockets can share a port: Node.js 22.12 or later. */
  readonly sharePort: boolean;
  /** Other processes may share it too (`--reuse-port`). */
  readonly reusePort: boolean;
  /** `socket` is the one to answer with. The array is the receiver's. */
  readonly receive: (data: Uint8Array, from: Origin, socket: DatagramSocket) => void;
  /** An answer could not be sent. */
  readonly failed: (error: NodeJS.ErrnoException) => void;
}

/** The UDP ports of a program. */
export class DatagramListener {
  /** Where it listens, once it does. */
  readonly addresses: Endpoint[] = [];
  readonly #options: DatagramListenerOptions;
  readonly #sockets: DatagramSocket[] = [];

  constructor(options: DatagramListenerOptions) {
    this.#options = options;
  }

  /** @throws PodsocksError ERR_LISTEN; then nothing listens. */
  async listen(endpoints: readonly Endpoint[]): Promise<void> {
    for (const endpoint of endpoints) {
      try {
        const { address } = await lookup(endpoint.host);
        this.addresses.push(this.#bindAll(address, endpoint.port));
      } catch (error) {
        this.close();
        throw listenError('UDP', endpoint, error as Error);
      }
    }
  }

  close(): void {
    for (const socket of this.#sockets) socket.close();
  }

  #bindAll(address: string, wanted: number): Endpoint {
    const { sharePort, reusePort } = this.#options;
    // Sharing would also bind a port beside another process that shares it; so first without.
    const alone = reusePort ? undefined : this.#bind(address, wanted, false);
    const port = alone?.local.port ?? wanted;
    if (alone !== undefined && !sharePort) {
      this.#sockets.push(alone);
      return { host: address, port };
    }
    alone?.close();
    const first = this.#bind(address, port, true);
    this.#sockets.push(first);
    const { port: bound } = first.local;
    for (let i = 1; i < SOCKETS_PER_PORT; i++) this.#sockets.push(this.#bind(address, bound, true));
    return { host: address, port: bound };
  }

  #bind(address: string, port: number, reusePort: boolean): DatagramSocket {
    const { receive, failed } = this.#options;
    const socket = DatagramSocket.bind(
      { address, port, reusePort },
      { receive: (data, from) => receive(data, from, socket), failed, receiveBufferBytes: RECEIVE_BUFFER_BYTES },
    );
    return socket;
  }
}
