import type { SharedReplayFilter } from '@podsocks/shared/crypto/replay-filter';
import type { StreamSealer, User } from '@podsocks/shared/crypto/stream';
import { serverStreams } from '@podsocks/shared/crypto/streams';
import type { Connection } from '@podsocks/shared/net/connection';
import { DatagramCounts } from '@podsocks/shared/net/datagram-counts';
import { dropLog } from '@podsocks/shared/net/drop-log';
import { IdleClock } from '@podsocks/shared/net/idle-clock';
import { Listener } from '@podsocks/shared/net/listener';
import { relay } from '@podsocks/shared/net/relay';
import { streamServices } from '@podsocks/shared/net/stream-services';
import type { Traffic } from '@podsocks/shared/net/traffic';
import { Opening, Sealing } from '@podsocks/shared/net/transform';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import type { Logger } from '@podsocks/shared/runtime/log';
import { formatTarget } from '@podsocks/shared/wire/address';
import { isInformationHost } from '@podsocks/shared/wire/information';
import { Admission, type Caller, release } from './admission.ts';
import { absorb } from './authenticate.ts';
import type { ServerConfig } from './config.ts';
import { replyOf, sendStatus } from './connect-status.ts';
import { type Dialled, dialTarget, type Reach } from './dial-target.ts';
import type { InformationServer } from './information/information-server.ts';
import type { StrangerCounts } from './metrics/stranger-counts.ts';
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
  /** Ends an association of UDP that the user does not need; whether there was one. */
  readonly makeRoomOf: (user: User) => boolean;
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
  const { log, replays, maxConnections, reach, sessions, users, makeRoomOf } = deps;
  const { information, outbound, datagramCounts } = deps;
  const { method, cryptoBackend, proxyProtocol, timeout, udpTimeout } = config;
  const streams = serverStreams(streamServices(method, cryptoBackend, replays));
  const admission = new Admission({ ...deps, streams, proxyProtocol });
  const clock = new IdleClock(timeout);
  const logDrop = dropLog(log);

  const listener = new Listener({
    ...config,
    maxConnections,
    log,
    accept: (connection, peer) =>
      void serve(connection, peer).catch(err => {
        log.error({ client: peer, err }, 'this should not happen; ending the connection');
        connection.reset();
      }),
  });

  /** The main path: authenticate, dial, say so, relay. */
  async function serve(connection: Connection, peer: string): Promise<void> {
    const caller = await admission.admit(connection, peer);
    if (caller === undefined) return;
    const { target } = caller.request;
    // Only now, or whoever replays a request could fill the filter with the salts of answers that are never given.
    const sealer = streams.sealResponse(caller.request);
    // All workers know the salt of a SIP004 answer before its first byte leaves: nobody can send it back to another.
    const saltKnown = replays?.settled() ?? Promise.resolve();
    // Who only asks keeps a stranger's deadline, and makes room for others.
    if (isInformationHost(target)) await serveHere(caller, sealer, saltKnown, inform);
    else {
      listener.admit(connection);
      if (isUdpOverTcp(target.host)) await serveHere(caller, sealer, saltKnown, carryDatagrams);
      else await connectThrough(caller, sealer, saltKnown);
    }
  }

  async function connectThrough(caller: Caller, sealer: StreamSealer, saltKnown: Promise<void>): Promise<void> {
    const { connection, origin, request, stream, first } = caller;
    const { user, target, wantsStatus } = request;
    const context = { client: origin.address, user: user.name, target: formatTarget(target) };
    const traffic: Traffic = { bytesUp: 0, bytesDown: 0 };
    const excess = excessOf(user);
    const asked = { user: user.name, client: origin, protocol: 'tcp', target } as const;
    const session = sessions.begin(asked, traffic, () => connection.reset());
    let dialled: Dialled;
    try {
      if (excess !== undefined) throw excess;
      dialled = await dialTarget(config, reach, user.name, target);
      await saltKnown;
    } catch (error) {
      const refusal = refusalOf(error as Error);
      log.info(context, refusal.message);
      session.refused({ target, ...refusal });
      session.close('shutdown');
      await saltKnown;
      if (wantsStatus) sendStatus(connection, sealer, replyOf(refusal.reason, error as Error));
      if (wantsStatus) dismiss(connection);
      else connection.reset();
      release(caller);
      sealer.close();
      return;
    }
    if (connection.socket.destroyed) {
      // Nobody reads it meanwhile, so it was we who ended it: its user is gone, or the server is. Not a byte goes out for it.
      dialled.connection.reset();
      session.close('shutdown');
      release(caller);
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
      idleTimeout: timeout,
      throttle: users.bandwidthOf(user),
      absorb: absorbLater,
    });
    session.close(relayEnd(end));
    const { bytesUp, bytesDown, error } = end;
    log.debug({ ...context, bytesUp, bytesDown, ...(error && { reason: error.message }) }, 'connection closed');
    // The socket errors of either peer are its own affair; bytes that were altered, or a fault of ours, are not.
    if (error !== undefined && !('syscall' in error)) admission.refused(origin, error);
  }

  /** A stream whose other end is ss-server itself. */
  async function serveHere(
    caller: Caller,
    sealer: StreamSealer,
    saltKnown: Promise<void>,
    here: (caller: Caller, sealer: StreamSealer) => Promise<Error | undefined>,
  ): Promise<void> {
    const { connection, origin, request } = caller;
    await saltKnown;
    if (users.objection(request.user) !== undefined) {
      connection.reset();
      release(caller);
      sealer.close();
      return;
    }
    const error = await here(caller, sealer);
    if (error === undefined) dismiss(connection);
    else if (error instanceof PodsocksError && error.code === 'ERR_AUTHENTICATION') {
      absorbLater(connection);
      admission.refused(origin, error);
    } else connection.reset();
  }

  /** A stream that holds datagrams: UDP over TCP. */
  async function carryDatagrams(caller: Caller, sealer: StreamSealer): Promise<Error | undefined> {
    const { connection, origin: client, request } = caller;
    const { user, wantsStatus } = request;
    const context = { client: client.address, user: user.name };
    const counts = new DatagramCounts(datagramCounts);
    const excess = excessOf(user);
    const asked = { user: user.name, client, protocol: 'udp', target: undefined, overTcp: true } as const;
    const session = sessions.begin(asked, counts, () => connection.reset());
    if (excess !== undefined) {
      log.info(context, excess.message);
      session.refused({ target: undefined, ...refusalOf(excess) });
      session.close('shutdown');
      if (wantsStatus) sendStatus(connection, sealer, 'generalFailure');
      release(caller);
      sealer.close();
      return wantsStatus ? undefined : excess;
    }
    if (wantsStatus) sendStatus(connection, sealer, 'succeeded');
    const bandwidth = users.bandwidthOf(user);
    const services = { session, counts, outbound, logDrop, clock, bandwidth, idleTimeout: udpTimeout };
    const error = await serveDatagramStream({ ...caller, client, sealer, ...services });
    session.close(relayEnd({ endedBy: 'client', error }));
    log.debug({ ...context, ...counts.passed(), ...(error && { reason: error.message }) }, 'UDP over TCP closed');
    return error;
  }

  /** A stream to the information host. */
  async function inform(caller: Caller, sealer: StreamSealer): Promise<Error | undefined> {
    const { connection, origin, request, stream: opener, first } = caller;
    const { user, wantsStatus } = request;
    if (wantsStatus) sendStatus(connection, sealer, 'succeeded');
    const error = await information.serve({ connection, opener, sealer, first }, user);
    log.debug({ client: origin.address, user: user.name }, 'a connection to the information host closed');
    return error;
  }

  /** Why a user may not begin anything more. What they began by UDP, which has no end, makes room. */
  function excessOf(user: User): PodsocksError | undefined {
    const excess = users.excess(user);
    return excess !== undefined && makeRoomOf(user) ? users.excess(user) : excess;
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

  return listener;
}
