import { setMaxListeners } from 'node:events';
import type { Connection } from '@podsocks/shared/net/connection';

export interface PreconnectedOptions {
  /** How many are kept. */
  readonly size: number;
  /** Connects to the server in use. */
  readonly dial: (signal: AbortSignal) => Promise<Connection>;
  /** A clock that never steps back, in milliseconds. */
  readonly now: () => number;
}

/** A server waits for a request for some time only, and NAT forgets: ss-server 60 s, others less. Milliseconds. */
const MOST_AGE_MS = 15_000;

/** After one could not be made, or was closed by the server. */
const RETRY_MS = 5_000;

interface Kept {
  readonly connection: Connection;
  readonly since: number;
  readonly drop: () => void;
}

/** Connections to the server in use that wait for a request, which then need not wait for a handshake. */
export class Preconnected {
  readonly #options: PreconnectedOptions;
  #kept: Kept[] = [];
  #dialling = 0;
  #notBefore = Number.NEGATIVE_INFINITY;
  /** Aborts when what is being dialled is not wanted any more. */
  #era = newEra();

  constructor(options: PreconnectedOptions) {
    this.#options = options;
  }

  /** How many wait. */
  get length(): number {
    return this.#kept.length;
  }

  /** One that is open, as far as this end knows. It does not read. */
  take(): Connection | undefined {
    this.expire();
    const kept = this.#kept.shift();
    if (kept === undefined) return undefined;
    const { connection } = kept;
    connection.socket.off('end', kept.drop).off('close', kept.drop);
    connection.socket.pause();
    connection.receive = () => false;
    return connection;
  }

  /** Makes those that are missing. */
  fill(): void {
    const { size, now } = this.#options;
    if (now() < this.#notBefore) return;
    for (let missing = size - this.#kept.length - this.#dialling; missing > 0; missing--) void this.#make();
  }

  /** Closes those that are too old to be of use. */
  expire(): void {
    const now = this.#options.now();
    for (const { connection, since } of this.#kept) if (now - since >= MOST_AGE_MS) connection.close();
    this.#kept = this.#kept.filter(({ connection }) => !connection.socket.destroyed);
  }

  /** Closes all: another server is in use, or the network has changed. */
  drop(): void {
    this.#era.abort();
    this.#era = newEra();
    this.#dialling = 0;
    this.#notBefore = Number.NEGATIVE_INFINITY;
    for (const { connection } of this.#kept.splice(0)) connection.close();
  }

  async #make(): Promise<void> {
    const { signal } = this.#era;
    this.#dialling++;
    const connection = await this.#options.dial(signal).catch(() => undefined);
    if (signal.aborted) {
      connection?.close();
      return;
    }
    this.#dialling--;
    if (connection === undefined) this.#rest();
    else this.#keep(connection);
  }

  #keep(connection: Connection): void {
    const { socket } = connection;
    const drop = () => {
      connection.close();
      const before = this.#kept.length;
      this.#kept = this.#kept.filter(kept => kept.connection !== connection);
      if (this.#kept.length < before) this.#rest(); // not closed by us
    };
    this.#kept.push({ connection, since: this.#options.now(), drop });
    // It reads, or nobody would notice that the server closes it; a server says nothing before it is asked.
    connection.receive = () => {
      drop();
      return false;
    };
    socket.on('end', drop).on('close', drop);
    socket.resume();
  }

  #rest(): void {
    this.#notBefore = this.#options.now() + RETRY_MS;
  }
}

function newEra(): AbortController {
  const era = new AbortController();
  setMaxListeners(0, era.signal); // each dial is one
  return era;
}
