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
import { type Authenticated, absorb, authenticate } from './authenticate.ts';
import type { ServerConfig } from './config.ts';
import { dialTarget, type Reach } from './dial-target.ts';
import { keyringOf } from './keyring.ts';
import { refusalOf } from './sessions/refusal.ts';
import { relayEnd } from './sessions/session-end.ts';
import type { Sessions } from './sessions/sessions.ts';
import type { OutboundServices } from './udp/outbound.ts';
import { isUdpOverTcp, serveDatagramStream } from './udp/over-tcp.ts';

export interface StreamDependencies {
  readonly log: Logger;
  /** In a worker, the filter that it has together with the others; else there is one of the server's own. */
  readonly replays: SharedReplayFilter | undefined;
  readonly maxConnections: number;
  readonly reach: Reach;
  readonly sessions: Sessions;
  /** For the datagrams that come in streams (UDP over TCP). */
  readonly outbound: OutboundServices;
  readonly datagramCounts: DatagramCounts;
}

/**
 * The TCP side of ss-server without its ports: it may listen itself, or take connections that another process accepted.
 *
 * @throws PodsocksError ERR_CONFIG.
 */
export function streamServer(config: ServerConfig, deps: StreamDependencies): Listener {
  const { log, replays, maxConnections, reach, sessions, outbound, datagramCounts } = deps;
  const { method } = config;
  const streams = serverStreams(streamServices(method, config.cryptoBackend, replays));
  const keyring = keyringOf(method, config.key, config.users);
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
    accept: (connection, client) => void serve(connection, client),
  });

  /** The main path: authenticate, dial, relay. */
  async function serve(connection: Connection, client: string): Promise<void> {
    const opener = streams.openRequest(keyring, client);
    const authenticated = await authenticate(connection, opener).catch(error => refused({ client, error }));
    if (authenticated === undefined) return;
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
        return refused({ client, error });
      }
    }
    listener.admit(connection);

    // Only now, or whoever replays a request could fill the filter with the salts of answers that are never given.
    const sealer = streams.sealResponse(request);
    const saltKnown = replays?.settled();
    const { user, target } = request;
    const origin = { address: client, port: connection.socket.remotePort ?? 0 };
    if (isUdpOverTcp(target.host)) {
      if (saltKnown) await saltKnown;
      await carryDatagrams(connection, authenticated, sealer, origin);
      return;
    }
    const context = { client, user: user.name, target: formatTarget(target) };
    const traffic: Traffic = { bytesUp: 0, bytesDown: 0 };
    const asked = { user: user.name, client: origin, protocol: 'tcp', target } as const;
    const session = sessions.begin(asked, traffic, () => connection.reset());
    const dialled = await dialTarget(config, reach, user.name, target).catch((error: Error) => {
      log.info(context, error.message);
      session.refused({ target, ...refusalOf(error) });
    });
    if (dialled === undefined) {
      session.close('shutdown');
      release();
      sealer.close();
      connection.reset();
      return;
    }
    session.reached(dialled.route);

    // All workers know the salt of a SIP004 answer before its first byte leaves: nobody can send it back to another.
    if (saltKnown) await saltKnown;
    const end = await relay({
      client: connection,
      target: dialled.connection,
      up: new Opening(stream),
      down: new Sealing(sealer),
      first,
      clock,
      traffic,
      idleTimeout: config.timeout,
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
    const session = sessions.begin(asked, counts, () => connection.reset());
    const error = await serveDatagramStream({
      ...{ connection, client, request, stream, sealer, first, session, counts, outbound, logDrop, clock },
      idleTimeout: config.udpTimeout,
    });
    session.close(relayEnd({ endedBy: 'client', error }));
    log.debug({ ...context, ...counts.passed(), ...(error && { reason: error.message }) }, 'UDP over TCP closed');
    if (error === undefined) {
      listener.expel(connection); // it may still read what is on its way, but not stay
      connection.socket.end();
    } else if (error instanceof PodsocksError && error.code === 'ERR_AUTHENTICATION') {
      absorbLater(connection);
      refused({ client: client.address, error });
    } else connection.reset();
  }

  /** A stream that failed after its request was accepted. Of an answer that has begun, the end must not look like one. */
  function absorbLater(connection: Connection): void {
    const { bytesWritten, writableEnded } = connection.socket;
    connection.incomplete = bytesWritten > 0 && !writableEnded;
    listener.expel(connection);
    absorb(connection);
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
