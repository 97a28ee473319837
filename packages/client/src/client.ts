import { describeBackend } from '@podsocks/shared/crypto/backends';
import { clientDatagrams } from '@podsocks/shared/crypto/datagrams';
import { clientStreams } from '@podsocks/shared/crypto/streams';
import type { Connection } from '@podsocks/shared/net/connection';
import { DatagramCounts } from '@podsocks/shared/net/datagram-counts';
import { connectionBudget } from '@podsocks/shared/net/descriptors';
import { dial } from '@podsocks/shared/net/dial';
import { dropLog } from '@podsocks/shared/net/drop-log';
import { IdleClock } from '@podsocks/shared/net/idle-clock';
import { type Endpoint, Listener } from '@podsocks/shared/net/listener';
import { systemLookup } from '@podsocks/shared/net/lookup';
import { relay } from '@podsocks/shared/net/relay';
import { datagramServices, streamServices } from '@podsocks/shared/net/stream-services';
import { Opening, Sealing } from '@podsocks/shared/net/transform';
import { atMostEvery } from '@podsocks/shared/runtime/at-most-every';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import type { Running } from '@podsocks/shared/runtime/lifecycle';
import type { Logger } from '@podsocks/shared/runtime/log';
import { carriesTcp, carriesUdp } from '@podsocks/shared/settings/mode';
import { formatTarget, targetOf } from '@podsocks/shared/wire/address';
import { encodeReply, Reply } from '@podsocks/shared/wire/socks5';
import type { ClientConfig } from './config.ts';
import { type Refused, replyEarly, replyTruly } from './connect-reply.ts';
import { Extensions } from './extensions.ts';
import { probeServer } from './server-probe.ts';
import { acceptSocks, endWith, type SocksRequest } from './socks-accept.ts';
import { socksReply } from './socks-handshake.ts';
import { Association } from './udp/associate.ts';
import { datagramUplinks } from './udp/datagram-uplink.ts';
import { streamUplinks } from './udp/stream-uplink.ts';
import type { OpenUplink } from './udp/uplink.ts';

export interface RunningClient extends Running {
  readonly addresses: readonly Endpoint[];
  /** What went through as UDP since the start. */
  readonly datagramCounts: DatagramCounts;
}

/** @throws PodsocksError ERR_LISTEN or ERR_CONFIG; then nothing runs. */
export async function startClient(config: ClientConfig, { log }: { log: Logger }): Promise<RunningClient> {
  const server = config.servers[0]!; // the others wait for fail-over
  const { method, keys } = server;
  const services = streamServices(method, config.cryptoBackend);
  const streams = clientStreams(services);
  const clock = new IdleClock(config.timeout);
  const udp = carriesUdp(config.mode);
  // An association has two sockets beside its connection.
  const maxConnections = config.maxConnections ?? connectionBudget(config.nofile, { each: udp ? 3 : 2 });
  const logUnreachable = atMostEvery<Error>(LOG_INTERVAL_MS, (count, error) =>
    log.warn({ count }, `the server cannot be reached: ${error.message}`),
  );

  const logRefused = atMostEvery<Error>(LOG_INTERVAL_MS, (count, error) =>
    log.warn({ count }, `the server's answer was refused: ${error.message}`),
  );
  const logDrop = dropLog(log);
  const datagramCounts = new DatagramCounts();
  const logNoUdp = atMostEvery<string>(LOG_INTERVAL_MS, (count, client) => log.info({ count, client }, NO_DATAGRAM));
  const offered = { tcp: carriesTcp(config.mode), udp };
  const openUplink = udp ? uplinks() : undefined;
  const statusTimeout = config.connectTimeout + STATUS_MARGIN_MS;
  const extensions =
    config.connectReply === 'auto' && offered.tcp
      ? new Extensions({
          probe: signal => probeServer({ streams, keys, dialServer, timeout: PROBE_TIMEOUT_MS, signal }),
          log,
          now: () => performance.now(),
        })
      : undefined;

  const listener = new Listener({
    ...config,
    maxConnections,
    log,
    accept: (connection, client) => void serve(connection, client),
  });
  await listener.listen();
  extensions?.ask();

  /** The main path: accept, dial the server, reply, relay. */
  async function serve(connection: Connection, client: string): Promise<void> {
    const request = await acceptSocks(connection, config.socksUsers, offered).catch(error => {
      log.info({ client }, error.message);
    });
    if (request === undefined) return;
    listener.admit(connection);
    if (request.command === 'udpAssociate') {
      await associate(connection, request, client);
      return;
    }

    const wantsStatus = (await extensions?.wantsStatus()) ?? false;
    const tunnel = await dialServer().catch(logUnreachable);
    if (tunnel === undefined) {
      listener.expel(connection); // it may still read the reply, but not stay
      endWith(connection, socksReply(request.version, 'generalFailure'));
      return;
    }

    const { target, username } = request;
    const sealer = streams.sealRequest(keys, target, { wantsStatus });
    const opener = streams.openResponse(keys, sealer.salt);
    const opened = { client: connection, tunnel, request, sealer, opener };
    const begun = await (wantsStatus ? replyTruly(opened, statusTimeout) : replyEarly(opened));
    const who = { client, ...(username && { user: username }), target: formatTarget(target) };
    if ('reply' in begun) {
      sealer.close();
      opener.close();
      tunnel.reset();
      refuse(connection, request, begun, who);
      return;
    }
    if (wantsStatus) extensions?.proven();
    const { bytesUp, bytesDown, endedBy, error } = await relay({
      client: connection,
      target: tunnel,
      up: new Sealing(sealer),
      down: new Opening(opener),
      first: begun.first,
      clock,
      traffic: begun.traffic,
      idleTimeout: config.timeout,
      absorb: undefined,
    });
    const context = { ...who, bytesUp, bytesDown };
    if (error !== undefined && isServersFault(error))
      log.warn(context, `the server's answer was refused: ${error.message}`);
    else if (bytesDown === 0 && endedBy === 'target' && !wantsStatus) log.info(context, NO_ANSWER);
    else log.debug({ ...context, ...(error && { reason: error.message }) }, 'connection closed');
  }

  /** Tells a client that its target was not reached. */
  function refuse(connection: Connection, { version }: SocksRequest, refused: Refused, who: object): void {
    const { reply, reason, error } = refused;
    if (reason === undefined) {
      connection.close();
      return;
    }
    if (error === undefined) extensions?.proven();
    // One that is late may still be the same; behind one that says something else there may be another by now.
    else if (error instanceof PodsocksError && error.code === 'ERR_TIMEOUT') extensions?.ask();
    else extensions?.doubt();
    if (error !== undefined && isServersFault(error)) log.warn(who, `the server's answer was refused: ${reason}`);
    else log.info(who, reason);
    listener.expel(connection); // it may still read the reply, but not stay
    endWith(connection, socksReply(version, reply));
  }

  /** UDP ASSOCIATE: as long as the client keeps the connection, there is a port for its datagrams. */
  async function associate(control: Connection, { target, username }: SocksRequest, client: string): Promise<void> {
    const { remotePort: port = 0 } = control.socket;
    let association: Association;
    try {
      association = new Association({
        control,
        declared: target,
        openUplink: openUplink!,
        ports: config.udpPorts,
        dropped: reason => logDrop({ reason, client: { address: client, port }, user: username }),
        failed: error => (isServersFault(error) ? logRefused(error) : logUnreachable(error)),
        total: datagramCounts,
      });
    } catch (error) {
      if (!(error instanceof PodsocksError)) throw error;
      log.warn({ client }, error.message);
      listener.expel(control);
      endWith(control, socksReply(5, 'generalFailure'));
      return;
    }
    control.receive = () => true; // the handshake is over, and what the client says now is of no interest
    const { address, counts } = association;
    const bound = config.udpAdvertise === undefined ? address : targetOf(config.udpAdvertise, address.port);
    control.socket.write(encodeReply(Reply.succeeded, bound));
    await ended(control);
    association.close();
    log.debug({ client, ...(username && { user: username }), ...counts.passed() }, 'UDP association closed');
    if (counts.packetsUp > 0 && counts.packetsDown === 0) logNoUdp(client);
  }

  function uplinks(): OpenUplink {
    if (config.udpOverTcp) return streamUplinks({ streams, server, dialServer, clock, idleTimeout: UDP_IDLE_MS });
    const datagrams = clientDatagrams(datagramServices(method, config.cryptoBackend));
    return datagramUplinks({ datagrams, server, lookup: systemLookup(config.ipv6First) });
  }

  function dialServer(timeout = config.connectTimeout): Promise<Connection> {
    const { host, port } = server;
    const { ipv6First, noDelay } = config;
    return dial({ host, port, timeout, ipv6First, noDelay, localAddress: undefined });
  }

  log.info(
    {
      server: formatTarget(server),
      method: method.name,
      mode: config.mode,
      ...(config.udpOverTcp && { udpOverTcp: true }),
      cryptoBackend: describeBackend(services.backend, config.cryptoBackend),
      maxConnections,
    },
    `SOCKS5 on ${listener.addresses.map(formatTarget).join(', ')}`,
  );
  return {
    addresses: listener.addresses,
    datagramCounts,
    drain: () => {
      extensions?.close();
      return listener.drain();
    },
    close: () => {
      extensions?.close();
      return listener.close();
    },
  };
}

const LOG_INTERVAL_MS = 10_000;

/** How long the server may take to say what it is. */
const PROBE_TIMEOUT_MS = 5_000;

/** The server has a time-out of its own for its connects, by default the same as ours; its word takes a moment longer. */
const STATUS_MARGIN_MS = 5_000;

/** Servers forget associations after some minutes, too. */
const UDP_IDLE_MS = 300_000;

const NO_DATAGRAM =
  'no datagram came back: the target does not answer, or the server carries no UDP (ss-server -u), or no UDP gets ' +
  'through to it (--udp-over-tcp), or password, method or clock differ';

const NO_ANSWER =
  'the server ended without an answer: it cannot reach the target, or password, method or clock differ from ours';

/** When the client has closed the connection, or half of it; what it says is of no interest. */
function ended({ socket }: Connection): Promise<void> {
  return new Promise(resolve => {
    socket.once('end', () => socket.end());
    socket.once('close', () => resolve());
    if (socket.closed) resolve();
    else if (socket.readableEnded) socket.end();
    socket.resume();
  });
}

/** Failures of what the server sent, as opposed to failures of sockets. */
function isServersFault(error: Error): boolean {
  return (
    error instanceof PodsocksError &&
    ['ERR_AUTHENTICATION', 'ERR_HEADER', 'ERR_REPLAY', 'ERR_TIMESTAMP'].includes(error.code)
  );
}
