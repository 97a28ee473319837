import type { Connection } from '@podsocks/shared/net/connection';
import { type Endpoint, Listener } from '@podsocks/shared/net/listener';
import { atMostEvery } from '@podsocks/shared/runtime/at-most-every';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import type { Running } from '@podsocks/shared/runtime/lifecycle';
import type { Logger } from '@podsocks/shared/runtime/log';
import { type AssociateRequest, acceptRequest, endWith } from './accept.ts';
import type { Asker, Carrier } from './carrier.ts';
import type { ClientConfig } from './config.ts';
import type { ConnectRequest } from './connect-request.ts';
import type { Forward } from './forward/fields.ts';
import { HttpFrontend } from './http/http-frontend.ts';
import type { Page } from './http/local-pages.ts';
import { type ClientGate, isOfThisMachine } from './listen/client-gate.ts';
import type { Offered } from './socks-handshake.ts';

export interface InboundOptions {
  readonly config: ClientConfig;
  readonly maxConnections: number;
  /** Of other machines, shared with what else they may reach. */
  readonly gate: ClientGate | undefined;
  readonly offered: Offered;
  /** Ports that stand for a target, by TCP. */
  readonly forwards: readonly Forward[];
  readonly pages: ReadonlyMap<string, Page>;
  /** Takes requests to their targets. */
  readonly carrier: Carrier;
  /** Serves UDP ASSOCIATE for as long as its connection lasts. */
  readonly associate: (control: Connection, request: AssociateRequest, client: string) => Promise<void>;
  readonly log: Logger;
}

/** What programs connect to: the port of SOCKS and HTTP, and those that stand for a target. */
export class Inbound implements Running {
  readonly #options: InboundOptions;
  readonly #listener: Listener;
  readonly #http: HttpFrontend;
  readonly #logTurnedAway: (turnedAway: TurnedAway) => void;

  constructor(options: InboundOptions) {
    const { config, maxConnections, log } = options;
    const forwards = new Map<Endpoint, Forward>(options.forwards.map(forward => [forward.listen, forward]));
    this.#options = options;
    this.#http = this.#httpFrontend();
    this.#logTurnedAway = atMostEvery<TurnedAway>(LOG_INTERVAL_MS, (count, { client, obstacle }) =>
      log.warn({ count, client }, `a client of another machine was turned away: ${obstacle}`),
    );
    this.#listener = new Listener({
      ...config,
      listen: [...config.listen, ...forwards.keys()],
      maxConnections,
      log,
      accept: (connection, client, endpoint) => this.#take(connection, client, endpoint && forwards.get(endpoint)),
    });
  }

  /** @throws PodsocksError ERR_LISTEN; then nothing listens. */
  listen(): Promise<void> {
    return this.#listener.listen();
  }

  /** Where SOCKS and HTTP are served, once they are. */
  get addresses(): readonly Endpoint[] {
    return this.#listener.addresses.slice(0, this.#options.config.listen.length);
  }

  /** Where a forward is served, whose port the system may have chosen. */
  addressOf(forward: Forward): Endpoint {
    const index = this.#options.forwards.indexOf(forward);
    return this.#listener.addresses[this.#options.config.listen.length + index] ?? forward.listen;
  }

  /** The connection will get no more than its reply. */
  expel(connection: Connection): void {
    this.#listener.expel(connection);
  }

  drain(): Promise<void> {
    this.#http.drain();
    return this.#listener.drain();
  }

  close(): Promise<void> {
    this.#http.close();
    return this.#listener.close();
  }

  /** A new connection, before it has said anything. */
  #take(connection: Connection, client: string, forward: Forward | undefined): void {
    const gate = isOfThisMachine(client) ? undefined : this.#options.gate;
    const obstacle = gate?.enter(client);
    if (obstacle !== undefined) {
      this.#logTurnedAway({ client, obstacle });
      connection.reset();
      return;
    }
    if (gate !== undefined) connection.socket.once('close', () => gate.leave(client));
    if (forward === undefined) {
      void this.#serve(connection, client);
      return;
    }
    connection.socket.pause(); // until it is known where to
    this.#listener.admit(connection);
    void this.#options.carrier.carry(connection, forwarded(forward), askerOf(client));
  }

  /** Finds out what a client wants, and sees to it. */
  async #serve(connection: Connection, client: string): Promise<void> {
    const { config, offered, carrier, associate, log } = this.#options;
    const request = await acceptRequest(connection, config.socksUsers, offered).catch(error => {
      log.info({ client }, error.message);
    });
    if (request === undefined) return;
    if (request.command === 'http') {
      this.#http.take(connection, request.first, client);
      return;
    }
    this.#listener.admit(connection);
    if (request.command === 'udpAssociate') {
      await carrier.informed();
      await associate(connection, request, client);
    } else await carrier.carry(connection, request, askerOf(client, request.username));
  }

  #httpFrontend(): HttpFrontend {
    const { config, offered, carrier, pages, log } = this.#options;
    return new HttpFrontend({
      users: config.socksUsers,
      openStream: async (target, { client, username }, options) => {
        if (!offered.tcp) throw new PodsocksError('ERR_DENIED', UDP_ONLY);
        return carrier.open(target, askerOf(client, username), options);
      },
      connect: (connection, request, client) => {
        if (offered.tcp) void carrier.carry(connection, request, askerOf(client, request.username));
        else {
          this.expel(connection);
          endWith(connection, request.encodeReply('commandNotSupported'));
        }
      },
      pages,
      isLocal: ({ socket }) => isOfThisMachine(socket.remoteAddress ?? ''),
      admit: connection => this.#listener.admit(connection),
      handshakeTimeout: config.handshakeTimeout,
      idleTimeout: config.timeout,
      log,
    });
  }
}

const LOG_INTERVAL_MS = 10_000;

const UDP_ONLY = 'ss-local was started for UDP only (-U)';

interface TurnedAway {
  readonly client: string;
  readonly obstacle: string;
}

function askerOf(client: string, username?: string): Asker {
  return { client, username, isRemote: !isOfThisMachine(client) };
}

/** What comes to a port that stands for a target asks for nothing, and is told nothing. */
function forwarded({ target }: Forward): ConnectRequest {
  return { command: 'connect', target, rest: NOTHING, encodeReply: () => NOTHING, isForward: true };
}

const NOTHING = new Uint8Array(0);
