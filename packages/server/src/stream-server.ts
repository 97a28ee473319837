import type { SharedReplayFilter } from '@podsocks/shared/crypto/replay-filter';
import type { Request, StreamSealer } from '@podsocks/shared/crypto/stream';
import { serverStreams } from '@podsocks/shared/crypto/streams';
import type { Connection } from '@podsocks/shared/net/connection';
import { DatagramCounts } from '@podsocks/shared/net/datagram-counts';
import type { Origin } from '@podsocks/shared/net/datagram-socket';
import { dropLog } from '@podsocks/shared/net/drop-log';
import { IdleClock } from '@podsocks/shared/net/idle-clock';
import { Listener } from '@podsocks/shared/net/listener';
import { Opening, relay, Sealing } from '@podsocks/shared/net/relay';
import { streamServices } from '@podsocks/shared/net/stream-services';
import type { Traffic } from '@podsocks/shared/net/traffic';
import { atMostEvery } from '@podsocks/shared/runtime/at-most-every';
import { buffers } from '@podsocks/shared/runtime/buffer-pool';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import type { Logger } from '@podsocks/shared/runtime/log';
import { formatTarget } from '@podsocks/shared/wire/address';
import type { ConnectReply } from '@podsocks/shared/wire/connect-status';
import { isInformationHost } from '@podsocks/shared/wire/information';
import { type Authenticated, absorb, authenticate } from './authenticate.ts';
import type { ServerConfig } from './config.ts';
import { replyOf, sendStatus } from './connect-status.ts';
import { dialTarget, type Reach } from './dial-target.ts';
import type { InformationServer } from './information/information-server.ts';
import type { StrangerCounts } from './metrics/stranger-counts.ts';
import { ProxiedOpener } from './proxy-protocol/proxied-opener.ts';
import { refusalOf } from './sessions/refusal.ts';
import { relayEnd } from './sessions/session-end.ts';
import type { Sessions } from './sessions/sessions.ts';
import type { OutboundServices } from './udp/outbound.ts';
import { isUdpOverTcp, serveDatagramStream } from './udp/over-tcp.ts';
import type { LiveUsers } from './users/live-users.ts';

export interface StreamDependencies {
  readonly log: Logger;
  /** In a worker, the filter that it has together with the others; else there is one of the server's own. */
  readonly replays: SharedReplayFilter | undefined;
  readonly maxConnections: number;
  readonly reach: Reach;
  readonly sessions: Sessions;
  readonly users: LiveUsers;
  readonly information: InformationServer;
  /** For the datagrams that come in streams (UDP over TCP). */
  readonly outbound: OutboundServices;
  readonly datagramCounts: DatagramCounts;
  readonly strangerCounts: StrangerCounts;
}

/**
 * The TCP side of ss-server without its ports: it may listen itself, or take connections that another process accepted.
 *
 * @throws PodsocksError ERR_CONFIG.
 */
export function streamServer(config: ServerConfig, deps: StreamDependencies): Listener {
  const { log, replays, maxConnections, reach, sessions, users, information, outbound } = deps;
  const { datagramCounts, strangerCounts } = deps;
  const { method, proxyProtocol } = config;
  const streams = serverStreams(streamServices(method, config.cryptoBackend, replays));
  const clock = new IdleClock(config.timeout);
  const logRefusals = atMostEvery<{ client: string; error: PodsocksError }>(
    REFUSAL_LOG_MS,
    (count, { client, error }) => log.warn({ count, client, code: error.code }, `refused: ${error.message}`),
  );

  const logDrop = dropLog(log);

  const listener = new Listener({
    ...config,
    maxConnections,
    log,
    accept: (connection, peer) => void serve(connection, peer),
  });

  /** The main path: authenticate, dial, relay. */
  async function serve(connection: Connection, peer: string): Promise<void> {
    const openRequest = (address: string) => streams.openRequest(users.keyring, address);
    const port = connection.socket.remotePort ?? 0;
    const proxied = proxyProtocol ? new ProxiedOpener({ address: peer, port }, openRequest) : undefined;
    const authenticated = await authenticate(connection, proxied ?? openRequest(peer)).catch(error =>
      turnedDown({ client: proxied?.client.address ?? peer, error }),
    );
    if (authenticated === undefined) return;
    const origin = proxied?.client ?? { address: peer, port };
    const client = origin.address;
    const { request, stream, first } = authenticated;
    const release = () => {
      if (first) buffers.give(first.buffer);
      stream.close();
    };
    if (replays !== undefined) {
      const error = await objection(replays, request, connection);
      if (error !== undefined) {
        release();
        absorb(connection);
        return turnedDown({ client, error });
      }
    }
    const removed = users.objection(request.user);
    if (removed !== undefined) {
      release();
      absorb(connection);
      return turnedOut(request, origin, removed);
    }
    // Who only asks keeps a stranger's deadline, and makes room for others.
    const isQuestion = isInformationHost(request.target);
    if (!isQuestion) listener.admit(connection);

    // Only now, or whoever replays a request could fill the filter with the salts of answers that are never given.
    const sealer = streams.sealResponse(request);
    const saltKnown = replays?.settled();
    const { user, target, wantsStatus } = request;
    if (isQuestion || isUdpOverTcp(target.host)) {
      if (saltKnown) await saltKnown;
      if (users.objection(user) !== undefined) {
        release();
        sealer.close();
        connection.reset();
        return;
      }
      if (wantsStatus) sendStatus(connection, sealer, 'succeeded');
      const serveHere = isQuestion ? inform : carryDatagrams;
      await serveHere(connection, authenticated, sealer, origin);
      return;
    }
    const context = { client, user: user.name, target: formatTarget(target) };
    const traffic: Traffic = { bytesUp: 0, bytesDown: 0 };
    const asked = { user: user.name, client: origin, protocol: 'tcp', target } as const;
    const excess = users.excess(user);
    const session = sessions.begin(asked, traffic, () => connection.reset());
    let reply: ConnectReply = 'generalFailure';
    const dialling = excess ? Promise.reject(excess) : dialTarget(config, reach, user.name, target);
    const dialled = await dialling.catch((error: Error) => {
      log.info(context, error.message);
      const refusal = refusalOf(error);
      session.refused({ target, ...refusal });
      reply = replyOf(refusal.reason, error);
    });
    // All workers know the salt of a SIP004 answer before its first byte leaves: nobody can send it back to another.
    if (saltKnown) await saltKnown;
    if (dialled === undefined) {
      session.close('shutdown');
      release();
      if (wantsStatus) {
        sendStatus(connection, sealer, reply);
        dismiss(connection);
      } else connection.reset();
      sealer.close();
      return;
    }
    session.reached(dialled.route);
    if (wantsStatus) sendStatus(connection, sealer, 'succeeded', dialled.route);
    const end = await relay({
      client: connection,
      target: dialled.connection,
      up: new Opening(stream),
      down: new Sealing(sealer),
      first,
      clock,
      traffic,
      idleTimeout: config.timeout,
      throttle: users.bandwidthOf(user),
      absorb: absorbLater,
    });
    session.close(relayEnd(end));
    const { bytesUp, bytesDown, error } = end;
    log.debug({ ...context, bytesUp, bytesDown, ...(error && { reason: error.message }) }, 'connection closed');
    // The socket errors of either peer are its own affair; bytes that were altered, or a fault of ours, are not.
    if (error !== undefined && !('syscall' in error)) refused({ client, error });
  }

  /** A stream that holds datagrams: UDP over TCP. */
  async function carryDatagrams(
    connection: Connection,
    { request, stream, first }: Authenticated,
    sealer: StreamSealer,
    client: Origin,
  ): Promise<void> {
    const context = { client: client.address, user: request.user.name };
    const counts = new DatagramCounts(datagramCounts);
    const asked = { user: context.user, client, protocol: 'udp', target: undefined, overTcp: true } as const;
    const excess = users.excess(request.user);
    const session = sessions.begin(asked, counts, () => connection.reset());
    if (excess !== undefined) {
      log.info(context, excess.message);
      session.refused({ target: undefined, ...refusalOf(excess) });
      session.close('shutdown');
      if (first) buffers.give(first.buffer);
      stream.close();
      sealer.close();
      connection.reset();
      return;
    }
    const error = await serveDatagramStream({
      ...{ connection, client, request, stream, sealer, first, session, counts, outbound, logDrop, clock },
      bandwidth: users.bandwidthOf(request.user),
      idleTimeout: config.udpTimeout,
    });
    session.close(relayEnd({ endedBy: 'client', error }));
    log.debug({ ...context, ...counts.passed(), ...(error && { reason: error.message }) }, 'UDP over TCP closed');
    finish(connection, client, error);
  }

  /** A stream to the information host. */
  async function inform(
    connection: Connection,
    { request, stream, first }: Authenticated,
    sealer: StreamSealer,
    client: Origin,
  ): Promise<void> {
    const error = await information.serve({ connection, opener: stream, sealer, first }, request.user.name);
    log.debug({ client: client.address, user: request.user.name }, 'a connection to the information host closed');
    finish(connection, client, error);
  }

  /** Ends a connection that was not relayed. */
  function finish(connection: Connection, client: Origin, error: Error | undefined): void {
    if (error === undefined) dismiss(connection);
    else if (error instanceof PodsocksError && error.code === 'ERR_AUTHENTICATION') {
      absorbLater(connection);
      refused({ client: client.address, error });
    } else connection.reset();
  }

  /** Ends a connection in order: it may still read what is on its way, but not stay, and what it says is of no interest. */
  function dismiss(connection: Connection): void {
    listener.expel(connection);
    connection.receive = () => true;
    connection.socket.end();
    connection.socket.resume();
  }

  /** A stream that failed after its request was accepted. Of an answer that has begun, the end must not look like one. */
  function absorbLater(connection: Connection): void {
    const { bytesWritten, writableEnded } = connection.socket;
    connection.incomplete = bytesWritten > 0 && !writableEnded;
    listener.expel(connection);
    absorb(connection);
  }

  /** Somebody with a key that is good no more. */
  function turnedOut({ user, target }: Request, client: Origin, error: PodsocksError): void {
    const asked = { user: user.name, client, protocol: 'tcp', target } as const;
    const session = sessions.begin(asked, { bytesUp: 0, bytesDown: 0 }, () => {});
    session.refused({ reason: 'expired', message: error.message, target });
    session.close('revoked');
    refused({ client: client.address, error });
  }

  /** Somebody who was not shown to be a user. */
  function turnedDown(refusal: { client: string; error: unknown }): undefined {
    strangerCounts.refuse(refusal.error);
    refused(refusal);
  }

  function refused(refusal: { client: string; error: unknown }): undefined {
    const { client, error } = refusal;
    if (!(error instanceof PodsocksError)) log.error({ client, err: error }, 'a request failed');
    // Port scans and the TCP probes of load balancers end like this all day.
    else if (['ERR_TRUNCATED', 'ERR_TIMEOUT', 'ERR_CLOSED'].includes(error.code)) log.debug({ client }, error.message);
    else logRefusals({ client, error });
  }

  return listener;
}

const REFUSAL_LOG_MS = 10_000;

/** Why a request of a worker must not be served after all, now that all workers' requests are known. */
async function objection(
  replays: SharedReplayFilter,
  { salt, user }: Request,
  { socket }: Connection,
): Promise<PodsocksError | undefined> {
  const verdict = await replays.confirm(salt);
  if (socket.destroyed) return new PodsocksError('ERR_CLOSED', 'the connection closed before its salt was confirmed');
  if (verdict === 'fresh') return undefined;
  return verdict === 'full'
    ? new PodsocksError('ERR_LIMIT', 'more requests within a minute than the replay filter can remember')
    : new PodsocksError('ERR_REPLAY', `the salt of a request of user "${user.name}" was seen before`);
}
