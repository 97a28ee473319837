import { type AddressInfo, createServer, type ListenOptions, type Server, type Socket } from 'node:net';
import type { Logger } from '../runtime/log.ts';
import { KEEP_ALIVE_DELAY_MS } from './dial.ts';
import { listenError } from './listen-error.ts';

export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

export interface AcceptorOptions {
  readonly listen: readonly Endpoint[];
  readonly noDelay: boolean;
  readonly reusePort: boolean;
  readonly log: Logger;
  /** Is given every connection that comes, and the endpoint of `listen` that it has come to; nothing of it has been read. */
  readonly accept: (socket: Socket, endpoint: Endpoint) => void;
}

/** The listening sockets of a program. */
export class Acceptor {
  /** Where it listens, once it does. */
  readonly addresses: Endpoint[] = [];
  readonly #servers: Server[] = [];
  readonly #options: AcceptorOptions;

  constructor(options: AcceptorOptions) {
    this.#options = options;
  }

  /**
   * Listens on all endpoints. Connections are accepted from the first one's moment on.
   *
   * @throws PodsocksError ERR_LISTEN; then nothing listens.
   */
  async listen(): Promise<void> {
    try {
      for (const endpoint of this.#options.listen) await this.#bind(endpoint);
    } catch (error) {
      this.stop();
      throw error;
    }
  }

  /** Accepts nobody any more. */
  stop(): void {
    for (const server of this.#servers) server.close();
  }

  #bind(endpoint: Endpoint): Promise<void> {
    const { noDelay, reusePort, log, accept } = this.#options;
    const server = createServer({
      allowHalfOpen: true,
      pauseOnConnect: true,
      noDelay,
      keepAlive: true,
      keepAliveInitialDelay: KEEP_ALIVE_DELAY_MS,
    });
    // From the first moment on: connections may come while the next endpoint is still being bound.
    server.on('connection', socket => accept(socket, endpoint));
    return new Promise((resolve, reject) => {
      const onError = (error: Error) => reject(listenError('TCP', endpoint, error));
      server.once('error', onError);
      server.listen({ ...endpoint, backlog: BACKLOG, ...(reusePort && { reusePort }) } as ListenOptions, () => {
        server.off('error', onError);
        // EMFILE and the like: libuv closes what it cannot keep; the listener lives on.
        server.on('error', error => log.error({ err: error }, 'accepting failed'));
        const { address, port } = server.address() as AddressInfo;
        this.addresses.push({ host: address, port });
        this.#servers.push(server);
        resolve();
      });
    });
  }
}

/** As the kernel caps it (net.core.somaxconn); Node's default is 511. */
const BACKLOG = 4096;
