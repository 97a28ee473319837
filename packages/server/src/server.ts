import { backendFor, describeBackend } from '@podsocks/shared/crypto/backends';
import { serverDatagrams } from '@podsocks/shared/crypto/datagrams';
import type { SharedReplayFilter } from '@podsocks/shared/crypto/replay-filter';
import { DatagramCounts } from '@podsocks/shared/net/datagram-counts';
import {
  associationBudget,
  checkAssociations,
  connectionBudget,
  queryBudget,
  SOCKETS_PER_ASSOCIATION,
} from '@podsocks/shared/net/descriptors';
import type { Endpoint, Listener } from '@podsocks/shared/net/listener';
import { datagramServices } from '@podsocks/shared/net/stream-services';
import type { Running } from '@podsocks/shared/runtime/lifecycle';
import type { Logger } from '@podsocks/shared/runtime/log';
import { hasReusePort } from '@podsocks/shared/runtime/node-features';
import { carriesTcp, carriesUdp } from '@podsocks/shared/settings/mode';
import { formatTarget } from '@podsocks/shared/wire/address';
import type { ServerConfig } from './config.ts';
import type { Reach } from './dial-target.ts';
import { keyringOf } from './keyring.ts';
import type { OwnListeners } from './policy/own-listeners.ts';
import { asLookup } from './resolver/lookup-function.ts';
import type { Resolver } from './resolver/resolver.ts';
import { UserLookups } from './resolver/user-lookups.ts';
import { policyOf } from './server-policy.ts';
import { resolverOf } from './server-resolver.ts';
import type { SessionObserver } from './sessions/session.ts';
import { Sessions } from './sessions/sessions.ts';
import { streamServer } from './stream-server.ts';
import { DatagramServer } from './udp/datagram-server.ts';
import type { OutboundServices } from './udp/outbound.ts';
import { TargetNames } from './udp/target-names.ts';

export interface RunningServer extends Running {
  readonly addresses: readonly Endpoint[];
}

/** @throws PodsocksError ERR_LISTEN or ERR_CONFIG; then nothing runs. */
export async function startServer(config: ServerConfig, { log }: { log: Logger }): Promise<Server> {
  const server = prepareServer(config, { log });
  await server.listen();
  logStart(log, config, limitsOf(config), server.addresses);
  return server;
}

/** How much of everything there may be at a time. */
export interface Limits {
  readonly maxConnections: number;
  /** Where UDP is served. */
  readonly udpMaxAssociations?: number;
}

/**
 * What was asked for, else what open files allow.
 *
 * @throws PodsocksError ERR_CONFIG when too little would be left for connections.
 */
export function limitsOf({ mode, nofile, maxConnections, udpMaxAssociations }: ServerConfig): Limits {
  const queries = queryBudget(nofile);
  if (!carriesUdp(mode)) return { maxConnections: maxConnections ?? connectionBudget(nofile, { taken: queries }) };
  const associations = udpMaxAssociations ?? associationBudget(nofile);
  if (maxConnections === undefined) checkAssociations(associations, nofile);
  return {
    maxConnections:
      maxConnections ?? connectionBudget(nofile, { taken: queries + associations * SOCKETS_PER_ASSOCIATION }),
    udpMaxAssociations: associations,
  };
}

/** The first line of the log: what runs, and where. */
export function logStart(
  log: Logger,
  { method, users, cryptoBackend: choice, mode }: ServerConfig,
  numbers: Limits & { readonly workers?: number },
  addresses: readonly Endpoint[],
): void {
  const cryptoBackend = describeBackend(backendFor(method, choice), choice);
  log.info(
    { method: method.name, mode, users: users.length, cryptoBackend, ...numbers },
    `listening on ${addresses.map(formatTarget).join(', ')}`,
  );
}

export interface ServerDependencies {
  readonly log: Logger;
  /** In a worker, the filter that it has together with the others; else there is one of the server's own. */
  readonly replays?: SharedReplayFilter;
  /** Are told of what users do. */
  readonly observers?: readonly SessionObserver[];
}

/**
 * ss-server without its ports: it may listen itself, or take connections that another process accepted.
 *
 * @throws PodsocksError ERR_CONFIG.
 */
export function prepareServer(config: ServerConfig, { log, replays, observers = [] }: ServerDependencies): Server {
  const { method, bindAddress = {}, mode } = config;
  const { maxConnections, udpMaxAssociations } = limitsOf(config);
  const datagramCounts = new DatagramCounts();
  const resolver = resolverOf(config);
  const { policy, own } = policyOf(config); // of listeners with port 0, `own` is told once they are bound
  const lookups = new UserLookups(asLookup(resolver), Math.ceil(queryBudget(config.nofile) * NAMES_OF_A_USER));
  const reach: Reach = { lookupFor: user => lookups.of(user), policy };
  const outbound: OutboundServices = {
    names: new TargetNames(resolver, familyOf(config), Math.ceil(queryBudget(config.nofile) * UDP_NAMES)),
    // Written out: spreading the object would cost a microsecond for each datagram on Node 20.
    judgeName: ({ user, name, port }) => policy.evaluateAsked({ user, protocol: 'udp', name, port }),
    judge: ({ user, name, address, port }) => policy.evaluate({ user, protocol: 'udp', name, address, port }),
    bindAddress,
  };
  const sessions = new Sessions(observers);
  const streams = carriesTcp(mode)
    ? streamServer(config, { log, replays, maxConnections, reach, sessions, outbound, datagramCounts })
    : undefined;
  const datagrams =
    udpMaxAssociations === undefined
      ? undefined
      : new DatagramServer({
          ...config,
          ...outbound,
          // Node offers it everywhere, libuv not on macOS and Windows.
          sharePort: hasReusePort(process.versions.node) && process.platform === 'linux',
          datagrams: serverDatagrams(
            datagramServices(method, config.cryptoBackend),
            keyringOf(method, config.key, config.users),
          ),
          maxAssociations: udpMaxAssociations,
          sessions,
          counts: datagramCounts,
          log,
        });
  return new Server(config, { streams, datagrams, resolver, own, datagramCounts });
}

/** Of the queries at a time, as a name takes two: a quarter of them. */
const NAMES_OF_A_USER = 1 / 8;

/** Of the queries at a time, as a name takes two: half of them. */
const UDP_NAMES = 1 / 4;

/** Names go to the family that there is an address for to leave from; to either, if there is for both or none. */
function familyOf({ bindAddress = {}, ipv6First }: ServerConfig): 4 | 6 | undefined {
  const { ipv4, ipv6 } = bindAddress;
  if (ipv4 !== undefined && ipv6 !== undefined) return ipv6First ? 6 : 4;
  return ipv4 !== undefined ? 4 : ipv6 !== undefined ? 6 : undefined;
}

interface ServerParts {
  readonly streams: Listener | undefined;
  readonly datagrams: DatagramServer | undefined;
  readonly resolver: Resolver;
  readonly own: OwnListeners;
  readonly datagramCounts: DatagramCounts;
}

/** The two sides of ss-server, of which one may be missing. */
export class Server implements RunningServer {
  /** What went through as UDP, and as UDP over TCP, since the start. */
  readonly datagramCounts: DatagramCounts;
  readonly #config: ServerConfig;
  readonly #streams: Listener | undefined;
  readonly #datagrams: DatagramServer | undefined;
  readonly #resolver: Resolver;
  readonly #own: OwnListeners;

  constructor(config: ServerConfig, { streams, datagrams, resolver, own, datagramCounts }: ServerParts) {
    this.#config = config;
    this.#streams = streams;
    this.#datagrams = datagrams;
    this.#resolver = resolver;
    this.#own = own;
    this.datagramCounts = datagramCounts;
  }

  /** Where it listens, once it does: the same for TCP and UDP. */
  get addresses(): readonly Endpoint[] {
    return (this.#streams?.addresses.length ? this.#streams : this.#datagrams)?.addresses ?? [];
  }

  /**
   * @param accepted whether another process listens for the connections, and gives them to {@link take}.
   * @throws PodsocksError ERR_LISTEN; then nothing listens.
   */
  async listen({ accepted = false } = {}): Promise<void> {
    if (!accepted) await this.#streams?.listen();
    try {
      // Where the system chose a port for TCP, UDP is to have the same.
      const { addresses = [] } = this.#streams ?? {};
      const endpoints = addresses.length > 0 ? addresses : this.#config.listen;
      await this.#datagrams?.listen(endpoints);
      this.#own.set(this.addresses.length > 0 ? this.addresses : endpoints);
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  /** Takes in a connection that another process accepted. */
  take(socket: Parameters<Listener['take']>[0]): void {
    this.#streams!.take(socket);
  }

  async drain(): Promise<void> {
    await Promise.all([this.#streams?.drain(), this.#datagrams?.drain()]);
    this.#resolver.close();
  }

  async close(): Promise<void> {
    await Promise.all([this.#streams?.close(), this.#datagrams?.close()]);
    this.#resolver.close();
  }
}
