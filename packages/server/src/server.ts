import { setTimeout as sleep } from 'node:timers/promises';
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
import type { Registry } from 'prom-client';
import { startWithAdmin } from './admin/with-admin.ts';
import { type AuditSink, auditLog } from './audit/audit-log.ts';
import { openAudit } from './audit/open-audit.ts';
import type { ServerConfig } from './config.ts';
import type { Reach } from './dial-target.ts';
import { InformationServer } from './information/information-server.ts';
import { knownUsers } from './keyring.ts';
import type { ServerStatus } from './metrics/server-metrics.ts';
import { serverRegistry } from './metrics/server-registry.ts';
import { SessionCounts } from './metrics/session-counts.ts';
import { StrangerCounts } from './metrics/stranger-counts.ts';
import type { OwnListeners } from './policy/own-listeners.ts';
import type { Policy } from './policy/policy.ts';
import { asLookup, lookupFamily } from './resolver/lookup-function.ts';
import type { Resolver } from './resolver/resolver.ts';
import { UserLookups } from './resolver/user-lookups.ts';
import { policyOf } from './server-policy.ts';
import { resolverOf } from './server-resolver.ts';
import type { SessionObserver } from './sessions/session.ts';
import { Sessions } from './sessions/sessions.ts';
import { SilentAddresses } from './silent-addresses.ts';
import { streamServer } from './stream-server.ts';
import { DatagramServer } from './udp/datagram-server.ts';
import type { OutboundServices } from './udp/outbound.ts';
import { TargetNames } from './udp/target-names.ts';
import { LiveUsers } from './users/live-users.ts';
import type { ServerUser } from './users/user.ts';
import { UsersWatch } from './users/users-watch.ts';

export interface RunningServer extends Running {
  readonly addresses: readonly Endpoint[];
  /** Where the admin listener is, if there is one. */
  readonly admin?: Endpoint | undefined;
}

/** @throws PodsocksError ERR_LISTEN or ERR_CONFIG; then nothing runs. */
export function startServer(config: ServerConfig, { log }: { log: Logger }): Promise<RunningServer> {
  return startWithAdmin(config, log, async bound => {
    const server = await startAlone(bound, { log });
    return { server, registry: () => server.metrics!, metrics: () => server.metrics!.metrics() };
  });
}

async function startAlone(config: ServerConfig, { log }: { log: Logger }): Promise<Server> {
  const audit = config.audit === undefined ? undefined : openAudit(config.audit, log);
  let server: Server;
  try {
    server = prepareServer(config, { log, ...(audit && { audit }) });
    await server.listen();
    server.watchUsers(log);
  } catch (error) {
    await audit?.close();
    throw error;
  }
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
  /** Gets a record of everything that users do; is closed when all of it has ended. */
  readonly audit?: AuditSink;
}

/**
 * ss-server without its ports: it may listen itself, or take connections that another process accepted.
 *
 * @throws PodsocksError ERR_CONFIG.
 */
export function prepareServer(
  config: ServerConfig,
  { log, replays, observers = [], audit }: ServerDependencies,
): Server {
  const { method, bindAddress = {}, mode } = config;
  const { maxConnections, udpMaxAssociations } = limitsOf(config);
  const datagramCounts = new DatagramCounts();
  const resolver = resolverOf(config);
  const { policy, own } = policyOf(config); // of listeners with port 0, `own` is told once they are bound
  const lookups = new UserLookups({
    lookup: asLookup(resolver),
    isKnown: (name, family) => resolver.known(name, lookupFamily(family)) !== undefined,
    most: Math.ceil(queryBudget(config.nofile) * NAMES_OF_A_USER),
    patience: config.connectTimeout,
  });
  const silent = new SilentAddresses(() => performance.now());
  const reach: Reach = { lookupFor: user => lookups.of(user), policy, silent };
  const outbound: OutboundServices = {
    names: new TargetNames(resolver, familyOf(config), Math.ceil(queryBudget(config.nofile) * UDP_NAMES)),
    // Written out: spreading the object would cost a microsecond for each datagram on Node 20.
    judgeName: ({ user, name, port }) => policy.evaluateAsked({ user, protocol: 'udp', name, port }),
    judge: ({ user, name, address, port }) => policy.evaluate({ user, protocol: 'udp', name, address, port }),
    bindAddress,
  };
  const strangerCounts = new StrangerCounts();
  const sessionCounts = config.admin && new SessionCounts();
  const sessions = new Sessions([
    ...observers,
    ...(audit === undefined ? [] : [auditLog(audit)]),
    ...(sessionCounts === undefined ? [] : [sessionCounts]),
  ]);
  const users = new LiveUsers({ ...config, sessions, log });
  const sources = { resolver, lookups, policy, carriesUdp: carriesUdp(config.serviceMode ?? mode) };
  const information = new InformationServer(sources, log);
  const streams = carriesTcp(mode)
    ? streamServer(config, {
        ...{
          log,
          replays,
          maxConnections,
          reach,
          sessions,
          users,
          information,
          outbound,
          datagramCounts,
          strangerCounts,
        },
      })
    : undefined;
  const datagrams =
    udpMaxAssociations === undefined
      ? undefined
      : new DatagramServer({
          ...config,
          ...outbound,
          // Node offers it everywhere, libuv not on macOS and Windows.
          sharePort: hasReusePort(process.versions.node) && process.platform === 'linux',
          datagrams: serverDatagrams(datagramServices(method, config.cryptoBackend), users.keyring),
          maxAssociations: udpMaxAssociations,
          sessions,
          users,
          counts: datagramCounts,
          log,
        });
  const status: ServerStatus = {
    limits: { maxConnections, ...(udpMaxAssociations !== undefined && { udpMaxAssociations }) },
    strangers: () => streams?.strangers ?? 0,
    turnedAway: () => streams?.turnedAway ?? 0,
    ...{ strangerCounts, datagramCounts, resolver },
  };
  const metrics = sessionCounts && serverRegistry(config, status, sessionCounts);
  const parts = { streams, datagrams, resolver, own, policy, users, sessions, audit, datagramCounts, metrics };
  return new Server(config, parts);
}

/** Sockets that were ended are closed long before. */
const CLOSING_LIMIT_MS = 1_000;

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
  readonly policy: Policy;
  readonly users: LiveUsers;
  readonly sessions: Sessions;
  readonly audit: AuditSink | undefined;
  readonly datagramCounts: DatagramCounts;
  readonly metrics: Registry | undefined;
}

/** The two sides of ss-server, of which one may be missing. */
export class Server implements RunningServer {
  /** What went through as UDP, and as UDP over TCP, since the start. */
  readonly datagramCounts: DatagramCounts;
  /** Where there is an admin listener. */
  readonly metrics: Registry | undefined;
  readonly #config: ServerConfig;
  readonly #streams: Listener | undefined;
  readonly #datagrams: DatagramServer | undefined;
  readonly #resolver: Resolver;
  readonly #own: OwnListeners;
  readonly #policy: Policy;
  readonly #users: LiveUsers;
  #usersWatch: UsersWatch | undefined;
  readonly #sessions: Sessions;
  readonly #audit: AuditSink | undefined;

  constructor(config: ServerConfig, parts: ServerParts) {
    const { streams, datagrams, resolver, own, policy, users, sessions, audit, datagramCounts, metrics } = parts;
    this.#config = config;
    this.#streams = streams;
    this.#datagrams = datagrams;
    this.#resolver = resolver;
    this.#own = own;
    this.#policy = policy;
    this.#users = users;
    this.#sessions = sessions;
    this.#audit = audit;
    this.datagramCounts = datagramCounts;
    this.metrics = metrics;
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
      const { admin } = this.#config;
      this.#own.set([...(this.addresses.length > 0 ? this.addresses : endpoints), ...(admin ? [admin] : [])]);
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  /** Takes in a connection that another process accepted. */
  take(socket: Parameters<Listener['take']>[0]): void {
    this.#streams!.take(socket);
  }

  /** How many users there are, without the one whose key is the server's. */
  get userCount(): number {
    return this.#users.size;
  }

  /** How often users could not be reloaded. */
  get reloadFailures(): number {
    return this.#usersWatch?.failures ?? 0;
  }

  /** Others may use it from now on: see {@link LiveUsers.replace}. */
  replaceUsers(users: readonly ServerUser[]): void {
    this.#policy.replaceUsers(knownUsers({ ...this.#config, users }));
    this.#users.replace(users);
  }

  /** Follows the users where they come and go; of workers, the primary does that. */
  watchUsers(log: Logger): void {
    const { usersPath: path, method, key, users } = this.#config;
    if (path === undefined) return;
    this.#usersWatch = new UsersWatch({ path, method, key, users, log, apply: others => this.replaceUsers(others) });
  }

  async drain(): Promise<void> {
    await Promise.all([this.#streams?.drain(), this.#datagrams?.drain()]);
    await this.#ended();
  }

  async close(): Promise<void> {
    await Promise.all([this.#streams?.close(), this.#datagrams?.close()]);
    await this.#ended();
  }

  /** Nothing comes any more, and what there was is being closed. */
  async #ended(): Promise<void> {
    this.#resolver.close();
    this.#usersWatch?.close();
    this.#users.close();
    if (this.#audit === undefined) return;
    await Promise.race([this.#sessions.closed(), sleep(CLOSING_LIMIT_MS, undefined, { ref: false })]);
    await this.#audit.close();
  }
}
