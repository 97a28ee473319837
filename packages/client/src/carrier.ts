import type { Duplex } from 'node:stream';
import type { Connection } from '@podsocks/shared/net/connection';
import { ConnectionDuplex } from '@podsocks/shared/net/connection-duplex';
import type { IdleClock } from '@podsocks/shared/net/idle-clock';
import { relay } from '@podsocks/shared/net/relay';
import type { Traffic } from '@podsocks/shared/net/traffic';
import { COPYING, Opening, Sealing } from '@podsocks/shared/net/transform';
import { atMostEvery } from '@podsocks/shared/runtime/at-most-every';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import type { Logger } from '@podsocks/shared/runtime/log';
import { formatTarget, type Target, targetOf } from '@podsocks/shared/wire/address';
import type { ConnectReply } from '@podsocks/shared/wire/connect-status';
import { endWith } from './accept.ts';
import type { ClientConfig } from './config.ts';
import { LATE_MS, NO_ANSWER_YET, type Refused, replyEarly, replyTruly } from './connect-reply.ts';
import type { ConnectRequest } from './connect-request.ts';
import { dialDirect, directReply } from './direct-dial.ts';
import { unsealedFirst } from './first-flight.ts';
import type { OpenStreamOptions } from './open-stream.ts';
import type { Router } from './routing/router.ts';
import type { ServerLink } from './servers/server-link.ts';
import type { Reached, ServerPool } from './servers/server-pool.ts';
import type { Activity, Transfer } from './status/activity.ts';
import { openTunnelStream, RefusedTarget } from './tunnel-stream.ts';

/** Who asks. */
export interface Asker {
  /** Address. */
  readonly client: string;
  readonly username?: string | undefined;
  /** Whether it is another machine. */
  readonly isRemote: boolean;
}

export interface CarrierOptions {
  readonly config: Pick<ClientConfig, 'connectTimeout' | 'connectReply' | 'ipv6First' | 'noDelay' | 'timeout'>;
  readonly pool: ServerPool;
  readonly router: Pick<Router, 'decide' | 'decideForward' | 'isRejected' | 'awaitsServer'>;
  readonly activity: Activity;
  /** Whether servers are asked what they are. */
  readonly asks: boolean;
  readonly clock: IdleClock;
  readonly log: Logger;
  /** The connection will get no more than its reply. */
  readonly expel: (connection: Connection) => void;
}

/** Takes what programs ask for to where it is to go: by the tunnel, directly, or nowhere. */
export class Carrier {
  readonly #options: CarrierOptions;
  readonly #statusTimeout: number;
  readonly #logUnreachable: (error: Error) => void;

  constructor(options: CarrierOptions) {
    this.#options = options;
    this.#statusTimeout = options.config.connectTimeout + STATUS_MARGIN_MS;
    this.#logUnreachable = atMostEvery<Error>(LOG_INTERVAL_MS, (count, error) =>
      options.log.warn({ count }, `${UNREACHABLE}: ${error.message}`),
    );
  }

  /** Until it is known what is the cluster's, where routes depend on that; not for long. */
  async informed(): Promise<void> {
    const { asks, pool, router } = this.#options;
    if (asks && router.awaitsServer) await pool.active.extensions.heard();
  }

  /** The main path: route, dial, reply, relay. Ends with the connection. Never rejects. */
  async carry(connection: Connection, request: ConnectRequest, asker: Asker): Promise<void> {
    const { router, activity } = this.#options;
    if (router.awaitsServer) await this.informed();
    const { way, target, because } = request.isForward
      ? router.decideForward(request.target)
      : router.decide(request.target);
    const carried = { connection, request: { ...request, target }, asker, because, transfer: activity.begin() };
    try {
      if (way === 'tunnel') await this.#tunnel(carried);
      else if (way === 'direct') await this.#direct(carried);
      else this.#refuse(carried, { reply: 'notAllowed', reason: `rejected: ${because}` });
    } catch (err) {
      this.#options.log.error({ ...whoOf(asker, target), err }, 'this should not happen; the connection is closed');
      connection.reset();
    } finally {
      carried.transfer.close();
    }
  }

  /**
   * The same for a request that ss-local makes for a program.
   *
   * @throws PodsocksError ERR_DENIED, ERR_DIAL, ERR_TIMEOUT, ERR_CLOSED, or what is wrong with a server's answer.
   */
  async open(given: Target, asker: Asker, options: OpenStreamOptions = {}): Promise<Duplex> {
    const { router, activity } = this.#options;
    if (router.awaitsServer) await this.informed();
    const { way, target, because } = router.decide(given);
    try {
      if (way === 'reject') throw new PodsocksError('ERR_DENIED', `${formatTarget(target)}: rejected: ${because}`);
      const opened =
        way === 'tunnel' ? await this.#openTunnel(target, options) : await this.#openDirectly(target, asker, options);
      const transfer = activity.begin(wireTraffic(opened.connection));
      opened.stream.once('close', () => transfer.close());
      return opened.stream;
    } catch (error) {
      const level = error instanceof ServerUnreachable ? 'debug' : 'info';
      if (!options.signal?.aborted) this.#noteRefusal(asker, target, (error as Error).message, error as Error, level);
      throw error;
    }
  }

  /** A stream of ss-local's own, by the tunnel whatever the routes say. @throws PodsocksError as above. */
  async openTunnel(target: Target, options: OpenStreamOptions = {}): Promise<Duplex> {
    return (await this.#openTunnel(target, options)).stream;
  }

  async #openTunnel(target: Target, options: OpenStreamOptions): Promise<OpenedStream> {
    const reached = await this.#options.pool.reach(options).catch((error: Error) => {
      if (options.signal?.aborted) throw error;
      this.#logUnreachable(error);
      throw new ServerUnreachable(error);
    });
    const { link, connection } = reached;
    const wantsStatus = await this.#wantsStatus(reached);
    const late = setTimeout(() => link.suspect(NO_ANSWER_YET), LATE_MS);
    link.begun();
    try {
      const stream = await openTunnelStream(reached, target, { wantsStatus, timeout: this.#statusTimeout, ...options });
      if (wantsStatus) link.extensions.proven();
      stream.once('close', () => link.ended(stream.errored !== null && isServersFault(stream.errored)));
      return { stream, connection };
    } catch (error) {
      const fault = error instanceof RefusedTarget ? undefined : (error as Error);
      const isGivenUp = options.signal?.aborted ?? false;
      link.ended(fault !== undefined && !isGivenUp);
      if (fault === undefined || !isGivenUp) learnFrom(link, fault);
      throw error;
    } finally {
      clearTimeout(late);
    }
  }

  async #openDirectly(target: Target, asker: Asker, { signal }: OpenStreamOptions): Promise<OpenedStream> {
    const connection = await this.#dialDirect(target, asker, signal);
    return { stream: new ConnectionDuplex(connection), connection };
  }

  /** @param lost servers that were found to be gone while this request waited for them. */
  async #tunnel(carried: Carried, lost: ReadonlySet<ServerLink> = new Set()): Promise<void> {
    const { pool, clock, log, config } = this.#options;
    const { connection, request, asker, transfer } = carried;
    const reached = await pool.reach({ avoid: lost }).catch(this.#logUnreachable);
    if (reached === undefined) {
      this.#refuse(carried, { reply: 'generalFailure', reason: UNREACHABLE }, 'debug');
      return;
    }
    const { link, connection: tunnel } = reached;
    const wantsStatus = await this.#wantsStatus(reached);
    const sealer = link.streams.sealRequest(link.keys, request.target, { wantsStatus });
    const opener = link.streams.openResponse(link.keys, sealer.salt);
    const opened = { client: connection, tunnel, request, sealer, opener };
    link.begun();
    const begun = await (wantsStatus ? replyTruly(opened, this.#statusTimeout, link) : replyEarly(opened));
    if ('reply' in begun) {
      link.ended(begun.error !== undefined);
      sealer.close();
      opener.close();
      tunnel.reset();
      if (begun.reason !== undefined) learnFrom(link, begun.error);
      const isElsewhere = link.health.state === 'unhealthy' && lost.size + 1 < pool.links.length && !lost.has(link);
      if (begun.rest !== undefined && isElsewhere) {
        const again = { ...carried, request: { ...request, rest: begun.rest } };
        await this.#tunnel(again, new Set([...lost, link]));
      } else this.#refuse(carried, begun);
      return;
    }
    if (wantsStatus) link.extensions.proven();
    transfer.traffic.bytesUp += begun.traffic.bytesUp;
    transfer.traffic.bytesDown += begun.traffic.bytesDown;
    const { bytesUp, bytesDown, endedBy, error } = await relay({
      client: connection,
      target: tunnel,
      up: new Sealing(sealer),
      down: new Opening(opener),
      first: begun.first,
      clock,
      traffic: transfer.traffic,
      idleTimeout: config.timeout,
      absorb: undefined,
    });
    const isServers = error !== undefined && isServersFault(error);
    link.ended(isServers);
    const context = { ...whoOf(asker, request.target), bytesUp, bytesDown };
    if (isServers) {
      log.warn(context, `the server's answer was refused: ${error.message}`);
      this.#note(asker, request.target, error.message);
    } else if (bytesDown === 0 && endedBy === 'target' && !wantsStatus) {
      log.info(context, NO_ANSWER);
      this.#note(asker, request.target, NO_ANSWER);
    } else log.debug({ ...context, ...(error && { reason: error.message }) }, 'connection closed');
  }

  async #direct(carried: Carried): Promise<void> {
    const { clock, config, log } = this.#options;
    const { connection, request, asker, transfer } = carried;
    const dialled = await this.#dialDirect(request.target, asker).catch((error: Error) => error);
    if (dialled instanceof Error) {
      this.#refuse(carried, { reply: directReply(dialled), reason: `directly: ${dialled.message}` });
      return;
    }
    const { localAddress, localPort } = dialled.socket;
    const bound = localAddress === undefined ? undefined : targetOf(localAddress, localPort!);
    const reply = request.encodeReply('succeeded', bound);
    if (reply.length > 0) connection.socket.write(reply);
    const { bytesUp, bytesDown, error } = await relay({
      client: connection,
      target: dialled,
      up: COPYING,
      down: COPYING,
      first: unsealedFirst(request.rest),
      clock,
      traffic: transfer.traffic,
      idleTimeout: config.timeout,
      absorb: undefined,
    });
    const context = { ...whoOf(asker, request.target), way: 'direct', because: carried.because, bytesUp, bytesDown };
    log.debug({ ...context, ...(error && { reason: error.message }) }, 'connection closed');
  }

  #dialDirect(target: Target, { isRemote }: Asker, signal?: AbortSignal): Promise<Connection> {
    const { config, router } = this.#options;
    const isRejected = (address: string, port: number) => router.isRejected(address, port);
    return dialDirect(target, { ...config, isRejected, forOthers: isRemote, signal });
  }

  async #wantsStatus({ link }: Reached): Promise<boolean> {
    const { asks, config } = this.#options;
    const wants = asks && link.extensions.wantsStatus(); // which asks the server now and then
    return config.connectReply === 'auto' && (await wants);
  }

  /** Tells a client that its target was not reached. */
  #refuse(carried: Carried, { reply, reason, error }: Refused, level: 'info' | 'debug' = 'info'): void {
    const { connection, request } = carried;
    if (reason === undefined) {
      connection.close();
      return;
    }
    this.#noteRefusal(carried.asker, request.target, reason, error, level);
    const said = request.encodeReply(reply);
    if (said.length === 0) {
      connection.reset(); // a forward has no words for it
      return;
    }
    this.#options.expel(connection); // it may still read the reply, but not stay
    endWith(connection, said);
  }

  #noteRefusal(asker: Asker, target: Target, reason: string, error: Error | undefined, level: 'info' | 'debug'): void {
    const { log } = this.#options;
    this.#note(asker, target, reason);
    const who = whoOf(asker, target);
    if (error !== undefined && isServersFault(error)) log.warn(who, `the server's answer was refused: ${reason}`);
    else log[level](who, reason);
  }

  #note({ client }: Asker, target: Target, reason: string): void {
    this.#options.activity.failed({ target: formatTarget(target), reason, client });
  }
}

/** Not the target, of which nothing is known. Where the server is, is for the log only: web pages read what they are answered. */
class ServerUnreachable extends PodsocksError {
  constructor(cause: Error) {
    super('ERR_DIAL', UNREACHABLE, { cause });
  }
}

const UNREACHABLE = 'the server cannot be reached';

interface OpenedStream {
  readonly stream: Duplex;
  readonly connection: Connection;
}

/** What a connection has moved, by its socket: of a tunnel, with what encryption adds. */
function wireTraffic({ socket }: Connection): Traffic {
  return {
    get bytesUp() {
      return socket.bytesWritten;
    },
    get bytesDown() {
      return socket.bytesRead;
    },
  };
}

interface Carried {
  readonly connection: Connection;
  readonly request: ConnectRequest;
  readonly asker: Asker;
  /** Which rule has sent it this way. */
  readonly because: string;
  readonly transfer: Transfer;
}

const LOG_INTERVAL_MS = 10_000;

/** The server has a time-out of its own for its connects, by default the same as ours; its word takes a moment longer. */
const STATUS_MARGIN_MS = 5_000;

const NO_ANSWER =
  'the server ended without an answer: it cannot reach the target, or password, method or clock differ from ours';

/** @param error undefined where the server has said what became of a request. */
function learnFrom({ extensions }: ServerLink, error: Error | undefined): void {
  if (error === undefined) extensions.proven();
  // One that is late may still be the same; behind one that says something else there may be another by now.
  else if (error instanceof PodsocksError && error.code === 'ERR_TIMEOUT') extensions.ask();
  else extensions.doubt();
}

/** What the log says of a connection. */
function whoOf({ client, username }: Asker, target: Target): object {
  return { client, ...(username && { user: username }), target: formatTarget(target) };
}

/** Failures of what the server sent, as opposed to failures of sockets. */
export function isServersFault(error: Error): boolean {
  return (
    error instanceof PodsocksError &&
    ['ERR_AUTHENTICATION', 'ERR_HEADER', 'ERR_REPLAY', 'ERR_TIMESTAMP'].includes(error.code)
  );
}

/** For an edge that has to say in the words of RFC 1928 why `open` failed. */
export function replyOfFailure(error: unknown): Exclude<ConnectReply, 'succeeded'> {
  const { reply } = error as { reply?: Exclude<ConnectReply, 'succeeded'> };
  return reply ?? directReply(error);
}
