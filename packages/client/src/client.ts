import { describeBackend } from '@podsocks/shared/crypto/backends';
import { clientStreams } from '@podsocks/shared/crypto/streams';
import type { Connection } from '@podsocks/shared/net/connection';
import { connectionBudget } from '@podsocks/shared/net/descriptors';
import { dial } from '@podsocks/shared/net/dial';
import { IdleClock } from '@podsocks/shared/net/idle-clock';
import { type Endpoint, Listener } from '@podsocks/shared/net/listener';
import { Opening, relay, Sealing } from '@podsocks/shared/net/relay';
import { streamServices } from '@podsocks/shared/net/stream-services';
import { atMostEvery } from '@podsocks/shared/runtime/at-most-every';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import type { Running } from '@podsocks/shared/runtime/lifecycle';
import type { Logger } from '@podsocks/shared/runtime/log';
import { formatTarget } from '@podsocks/shared/wire/address';
import type { ClientConfig } from './config.ts';
import { firstFlight } from './first-flight.ts';
import { acceptSocks, endWith } from './socks-accept.ts';
import { socksReply } from './socks-handshake.ts';

export interface RunningClient extends Running {
  readonly addresses: readonly Endpoint[];
}

/** @throws PodsocksError ERR_LISTEN or ERR_CONFIG; then nothing runs. */
export async function startClient(config: ClientConfig, { log }: { log: Logger }): Promise<RunningClient> {
  const server = config.servers[0]!; // the others wait for fail-over
  const { method, keys } = server;
  const services = streamServices(method, config.cryptoBackend);
  const streams = clientStreams(services);
  const clock = new IdleClock(config.timeout);
  const maxConnections = config.maxConnections ?? connectionBudget(config.nofile);
  const logUnreachable = atMostEvery<Error>(LOG_INTERVAL_MS, (count, error) =>
    log.warn({ count }, `the server cannot be reached: ${error.message}`),
  );

  const listener = new Listener({
    ...config,
    maxConnections,
    log,
    accept: (connection, client) => void serve(connection, client),
  });
  await listener.listen();

  /** The main path: accept, dial the server, reply, relay. */
  async function serve(connection: Connection, client: string): Promise<void> {
    const request = await acceptSocks(connection, config.socksUsers).catch(error => {
      log.info({ client }, error.message);
    });
    if (request === undefined) return;
    listener.admit(connection);

    const tunnel = await dialServer().catch(logUnreachable);
    if (tunnel === undefined) {
      listener.expel(connection); // it may still read the reply, but not stay
      endWith(connection, socksReply(request.version, 'generalFailure'));
      return;
    }

    // Plain Shadowsocks has no answer to a request: that the server was reached is all that can be said.
    connection.socket.write(socksReply(request.version, 'succeeded'));
    const sealer = streams.sealRequest(keys, request.target);
    const { bytesUp, bytesDown, endedBy, error } = await relay({
      client: connection,
      target: tunnel,
      up: new Sealing(sealer),
      down: new Opening(streams.openResponse(keys, sealer.salt)),
      first: await firstFlight(connection, sealer, request.rest),
      clock,
      idleTimeout: config.timeout,
      absorb: undefined,
    });
    const { target, username } = request;
    const context = { client, ...(username && { user: username }), target: formatTarget(target), bytesUp, bytesDown };
    if (error !== undefined && isServersFault(error))
      log.warn(context, `the server's answer was refused: ${error.message}`);
    else if (bytesDown === 0 && endedBy === 'target') log.info(context, NO_ANSWER);
    else log.debug({ ...context, ...(error && { reason: error.message }) }, 'connection closed');
  }

  function dialServer(): Promise<Connection> {
    const { host, port } = server;
    const { connectTimeout, ipv6First, noDelay } = config;
    return dial({ host, port, timeout: connectTimeout, ipv6First, noDelay, localAddress: undefined });
  }

  log.info(
    {
      server: formatTarget(server),
      method: method.name,
      cryptoBackend: describeBackend(services.backend, config.cryptoBackend),
      maxConnections,
    },
    `SOCKS5 on ${listener.addresses.map(formatTarget).join(', ')}`,
  );
  return listener;
}

const LOG_INTERVAL_MS = 10_000;

const NO_ANSWER =
  'the server ended without an answer: it cannot reach the target, or password, method or clock differ from ours';

/** Failures of what the server sent, as opposed to failures of sockets. */
function isServersFault(error: Error): boolean {
  return (
    error instanceof PodsocksError &&
    ['ERR_AUTHENTICATION', 'ERR_HEADER', 'ERR_REPLAY', 'ERR_TIMESTAMP'].includes(error.code)
  );
}
