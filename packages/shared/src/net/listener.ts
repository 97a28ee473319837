import type { Socket } from 'node:net';
import { atMostEvery } from '../runtime/at-most-every.ts';
import type { Running } from '../runtime/lifecycle.ts';
import type { Logger } from '../runtime/log.ts';
import { Acceptor, type Endpoint } from './acceptor.ts';
import { Connection } from './connection.ts';

export type { Endpoint };

export interface ListenerOptions {
  readonly listen: readonly Endpoint[];
  /** The cap of all connections together. */
  readonly maxConnections: number;
  /** How long a connection may stay without {@link Listener.admit}, in milliseconds. */
  readonly handshakeTimeout: number;
  /** How long {@link Listener.drain} waits, in milliseconds. */
  readonly drainTimeout: number;
  readonly noDelay: boolean;
  readonly reusePort: boolean;
  readonly log: Logger;
  /**
   * Is given every new connection; has to set `receive` before it returns.
   *
   * @param endpoint that of `listen` which it has come to; undefined for one that was accepted by another process.
   */
  readonly accept: (connection: Connection, clientAddress: string, endpoint: Endpoint | undefined) => void;
}

/**
 * Accepts connections under a cap. A connection is a stranger until it is admitted; strangers have a deadline, and at
 * the cap the oldest stranger makes room for the next, so that silent connections cannot lock anybody out.
 */
export class Listener implements Running {
  readonly #acceptor: Acceptor;
  readonly #options: ListenerOptions;
  /** When each was accepted, oldest first. */
  readonly #strangers = new Map<Connection, number>();
  readonly #admitted = new Set<Connection>();
  readonly #timer: NodeJS.Timeout;
  readonly #atCap: (clientAddress: string) => void;
  #stopped = false;
  #isClosedToStrangers = false;
  #turnedAway = 0;
  #onEmpty: (() => void) | undefined;

  constructor(options: ListenerOptions) {
    this.#options = options;
    this.#acceptor = new Acceptor({ ...options, accept: (socket, endpoint) => this.take(socket, endpoint) });
    this.#atCap = atMostEvery(LOG_INTERVAL_MS, (count, client) =>
      options.log.warn(
        { count, client, maxConnections: options.maxConnections },
        'at the connection cap: the oldest connections without authentication were closed, or else the new ones',
      ),
    );
    this.#timer = setInterval(() => this.#expireStrangers(), Math.min(1000, options.handshakeTimeout / 4)).unref();
  }

  /** Where it listens, once it does. */
  get addresses(): readonly Endpoint[] {
    return this.#acceptor.addresses;
  }

  /**
   * Listens on all endpoints. Connections are accepted from the first one's moment on.
   *
   * @throws PodsocksError ERR_LISTEN; then nothing listens.
   */
  async listen(): Promise<void> {
    try {
      await this.#acceptor.listen();
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  /** Takes in a connection that was accepted, here or by another process, and of which nothing has been read. */
  take(socket: Socket, endpoint?: Endpoint): void {
    const clientAddress = socket.remoteAddress ?? 'unknown';
    const connection = Connection.adopt(socket);
    if (this.#stopped || (this.size >= this.#options.maxConnections && !this.#makeRoom(clientAddress))) {
      this.#turnedAway++;
      connection.reset();
      return;
    }
    this.#strangers.set(connection, performance.now());
    connection.socket.on('close', () => {
      this.#strangers.delete(connection);
      this.#admitted.delete(connection);
      if (this.size === 0) this.#onEmpty?.();
    });
    this.#options.accept(connection, clientAddress, endpoint);
  }

  get size(): number {
    return this.#strangers.size + this.#admitted.size;
  }

  /** How many have not been admitted. */
  get strangers(): number {
    return this.#strangers.size;
  }

  /** How many were reset as they came: at the cap without a stranger to make room, or after the end. */
  get turnedAway(): number {
    return this.#turnedAway;
  }

  /** The connection has shown that it belongs here: no deadline any more, and nobody takes its place. */
  admit(connection: Connection): void {
    if (this.#strangers.delete(connection)) this.#admitted.add(connection);
  }

  /** The connection has lost its standing and gets a new stranger's deadline. */
  expel(connection: Connection): void {
    if (!this.#admitted.delete(connection)) return; // closed already
    if (this.#isClosedToStrangers) connection.close();
    else this.#strangers.set(connection, performance.now());
  }

  /**
   * Stops accepting and waits for those that are there, but at most `drainTimeout`; for strangers, whose requests may be on
   * their way, {@link STRANGERS_GRACE_MS}.
   */
  async drain(): Promise<void> {
    this.#stop();
    if (this.size > 0) {
      const { drainTimeout } = this.#options;
      await new Promise<void>(resolve => {
        const deadline = setTimeout(resolve, drainTimeout);
        const grace = setTimeout(() => this.#closeStrangers(), Math.min(STRANGERS_GRACE_MS, drainTimeout));
        this.#onEmpty = () => {
          clearTimeout(deadline);
          clearTimeout(grace);
          resolve();
        };
      });
    }
    await this.close();
  }

  /** Ends everything now. */
  async close(): Promise<void> {
    this.#stop();
    this.#closeStrangers();
    for (const connection of this.#admitted) connection.reset();
    this.#onEmpty?.();
  }

  #stop(): void {
    this.#stopped = true;
    clearInterval(this.#timer);
    this.#acceptor.stop();
  }

  #closeStrangers(): void {
    this.#isClosedToStrangers = true;
    for (const connection of this.#strangers.keys()) connection.close();
  }

  #makeRoom(clientAddress: string): boolean {
    this.#atCap(clientAddress);
    const [oldest] = this.#strangers.keys();
    if (oldest === undefined) return false;
    this.#strangers.delete(oldest);
    oldest.close();
    return true;
  }

  #expireStrangers(): void {
    const acceptedBefore = performance.now() - this.#options.handshakeTimeout;
    for (const [connection, acceptedAt] of this.#strangers) {
      if (acceptedAt > acceptedBefore) return;
      connection.close();
    }
  }
}

const LOG_INTERVAL_MS = 10_000;

/** A few round trips: who has connected before the end began has a request on its way. */
const STRANGERS_GRACE_MS = 2_000;
