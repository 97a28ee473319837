import type { Socket } from 'node:net';
import { Acceptor } from '@podsocks/shared/net/acceptor';
import { DatagramListener } from '@podsocks/shared/net/datagram-listener';
import type { DatagramSocket, Origin } from '@podsocks/shared/net/datagram-socket';
import type { Endpoint } from '@podsocks/shared/net/listener';
import type { PodsocksError } from '@podsocks/shared/runtime/errors';
import type { Logger } from '@podsocks/shared/runtime/log';

export interface DnsListenerOptions {
  readonly receive: (data: Uint8Array, from: Origin, socket: DatagramSocket) => void;
  readonly accept: (socket: Socket) => void;
  readonly log: Logger;
}

/** Where a DNS server listens: each endpoint by UDP and by TCP. */
export class DnsListeners {
  /** Once it listens. */
  readonly addresses: Endpoint[] = [];
  readonly #options: DnsListenerOptions;
  readonly #acceptors: Acceptor[] = [];
  readonly #datagrams: DatagramListener[] = [];

  constructor(options: DnsListenerOptions) {
    this.#options = options;
  }

  /** @throws PodsocksError ERR_LISTEN; then nothing listens. */
  async listen(endpoints: readonly Endpoint[]): Promise<void> {
    try {
      for (const endpoint of endpoints) await this.#bind(endpoint, endpoint.port === 0 ? FREE_PORT_ATTEMPTS : 1);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Takes no more connections; datagrams still come. */
  stopAccepting(): void {
    for (const acceptor of this.#acceptors) acceptor.stop();
  }

  close(): void {
    this.stopAccepting();
    for (const listener of this.#datagrams) listener.close();
  }

  async #bind(endpoint: Endpoint, attempts: number): Promise<void> {
    const { receive, accept, log } = this.#options;
    const acceptor = new Acceptor({ listen: [endpoint], noDelay: true, reusePort: false, log, accept });
    await acceptor.listen();
    const [bound] = acceptor.addresses;
    const datagrams = new DatagramListener({ sharePort: false, reusePort: false, receive, failed: () => {} });
    try {
      await datagrams.listen([bound!]);
    } catch (error) {
      acceptor.stop();
      const isTaken = ((error as PodsocksError).cause as NodeJS.ErrnoException).code === 'EADDRINUSE';
      if (!isTaken || attempts === 1) throw error;
      await this.#bind(endpoint, attempts - 1);
      return;
    }
    this.#acceptors.push(acceptor);
    this.#datagrams.push(datagrams);
    this.addresses.push(bound!);
  }
}

/** A free port of TCP may be another program's by UDP. */
const FREE_PORT_ATTEMPTS = 8;
