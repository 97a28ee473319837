import { networkInterfaces } from 'node:os';
import { describeBackend } from '@podsocks/shared/crypto/backends';
import type { Connection } from '@podsocks/shared/net/connection';
import { DatagramCounts } from '@podsocks/shared/net/datagram-counts';
import { connectionBudget } from '@podsocks/shared/net/descriptors';
import { IdleClock } from '@podsocks/shared/net/idle-clock';
import { type Endpoint, Listener } from '@podsocks/shared/net/listener';
import { atMostEvery } from '@podsocks/shared/runtime/at-most-every';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import type { Running } from '@podsocks/shared/runtime/lifecycle';
import type { Logger } from '@podsocks/shared/runtime/log';
import { carriesTcp, carriesUdp } from '@podsocks/shared/settings/mode';
import { formatTarget } from '@podsocks/shared/wire/address';
import { acceptRequest, endWith } from './accept.ts';
import { type Asker, Carrier } from './carrier.ts';
import type { ClientConfig } from './config.ts';
import type { ConnectRequest } from './connect-request.ts';
import { mayDial } from './direct-dial.ts';
import type { DnsConfig } from './dns/fields.ts';
import { type RunningDns, startLocalDns } from './dns/local-dns.ts';
import { systemResolvers } from './dns/system-resolvers.ts';
import type { Forward } from './forward/fields.ts';
import { MappedNames } from './forward/mapped-names.ts';
import { parseAuthority } from './http/authority.ts';
import { HttpFrontend } from './http/http-frontend.ts';
import { localPages } from './http/local-pages.ts';
import { ClientGate, isOfThisMachine } from './listen/client-gate.ts';
import { ServerPlugins } from './plugin/server-plugins.ts';
import { type KnownCluster, Router } from './routing/router.ts';
import type { KnownServer } from './servers/known-server.ts';
import { openPool } from './servers/open-pool.ts';
import type { ServerPool } from './servers/server-pool.ts';
import type { Server } from './servers.ts';
import { Activity, sampleRegularly } from './status/activity.ts';
import type { ChecklistFacts } from './status/checklist.ts';
import type { ClientStatus } from './status/client-status.ts';
import { associations } from './udp/associations.ts';
import { directUplinks } from './udp/direct-uplink.ts';
import { startDatagramForward } from './udp/forward.ts';
import { routedUplinks } from './udp/routed-uplink.ts';
import { tunnelUplinks } from './udp/tunnel-uplink.ts';

export interface RunningClient extends Running {
  /** Where SOCKS and HTTP are served. */
  readonly addresses: readonly Endpoint[];
  /** What went through as UDP since the start. */
  readonly datagramCounts: DatagramCounts;
  status(): ClientStatus;
  /** What there is to say at the start, once the server has said what it is, or has not within a while. */
  found(): Promise<ChecklistFacts>;
}

export interface ClientDependencies {
  readonly log: Logger;
  /** Of ss-local, for its status. */
  readonly version?: string;
}

/** @throws PodsocksError ERR_LISTEN or ERR_CONFIG; then nothing runs. */
export async function startClient(
  config: ClientConfig,
  { log, version = '0' }: ClientDependencies,
): Promise<RunningClient> {
  const since = new Date().toISOString();
  const offered = { tcp: carriesTcp(config.mode), udp: carriesUdp(config.mode) };
  const clock = new IdleClock(config.timeout);
  const activity = new Activity(() => performance.now());
  const datagramCounts = new DatagramCounts();
  const asks =
    offered.tcp && (config.connectReply === 'auto' || config.route.mode !== 'all' || config.dns !== undefined);
  const plugins = new ServerPlugins(config, log);
  const pool = await startPool().catch(failing(() => plugins.close()));
  const router = new Router(config.route, attachedNetworks());
  const mapped = new MappedNames(config.maps);
  const gate = config.lan && new ClientGate(config.lan);
  const stopSampling = sampleRegularly(activity);
  // A laptop is carried from one network into another.
  const attaching = setInterval(() => router.attach(attachedNetworks()), ATTACH_MS).unref();
  const logTurnedAway = atMostEvery<TurnedAway>(LOG_INTERVAL_MS, (count, { client, obstacle }) =>
    log.warn({ count, client }, `a client of another machine was turned away: ${obstacle}`),
  );

  // An association has two sockets beside its connection.
  const maxConnections = config.maxConnections ?? connectionBudget(config.nofile, { each: offered.udp ? 3 : 2 });
  /** What comes to these ports is for a target of its own. */
  const forwards = new Map<Endpoint, Forward>(
    [...config.forwards, ...mapped.forwards].filter(({ protocol }) => protocol === 'tcp').map(to => [to.listen, to]),
  );
  const listener = new Listener({
    ...config,
    listen: [...config.listen, ...forwards.keys()],
    maxConnections,
    log,
    accept: (connection, client, endpoint) => take(connection, client, endpoint && forwards.get(endpoint)),
  });
  const expel = (connection: Connection) => listener.expel(connection);
  const carrier = new Carrier({ config, pool, router, activity, asks, clock, log, expel });
  const http = new HttpFrontend({
    users: config.socksUsers,
    openStream: async (target, { client, username }, options) => {
      if (!offered.tcp) throw new PodsocksError('ERR_DENIED', UDP_ONLY);
      return carrier.open(target, askerOf(client, username), options);
    },
    connect(connection, request, client) {
      if (offered.tcp) void carrier.carry(connection, request, askerOf(client, request.username));
      else {
        expel(connection);
        endWith(connection, request.encodeReply('commandNotSupported'));
      }
    },
    pages: localPages({
      status,
      pac(authority) {
        router.attach(attachedNetworks());
        return router.pac(parseAuthority(authority));
      },
    }),
    isLocal: ({ socket }) => isOfThisMachine(socket.remoteAddress ?? ''),
    admit: connection => listener.admit(connection),
    handshakeTimeout: config.handshakeTimeout,
    idleTimeout: config.timeout,
    log,
  });
  const isRejected = (address: string, port: number) => router.isRejected(address, port);
  const ways = {
    tunnel: tunnelUplinks({ config, pool, clock }),
    direct: directUplinks({ isAllowed: (address, port) => mayDial(address, port, { isRejected, forOthers: true }) }),
  };
  const openUplink = routedUplinks({ decide: target => router.decide(target), ...ways });
  const openForward = routedUplinks({ decide: target => router.decideForward(target), ...ways });
  const associate = associations({ config, openUplink, total: datagramCounts, log, expel });
  async function startPool(): Promise<ServerPool> {
    const { servers, pluginEnvironment: env = {} } = config;
    const [only] = servers;
    if (servers.length === 1 && config.document === undefined) await plugins.start(only!);
    const changed = (now: readonly Server[]) => plugins.keepOnly(now);
    const { dialServer } = plugins;
    return openPool({ servers, config, dialServer, env, changed, askExtensions: asks, probes: offered.tcp, log });
  }

  /** A new connection, before it has said anything. */
  function take(connection: Connection, client: string, forward: Forward | undefined): void {
    const obstacle = gate === undefined || isOfThisMachine(client) ? undefined : gate.enter(client);
    connection.receive = () => false;
    if (obstacle !== undefined) {
      logTurnedAway({ client, obstacle });
      connection.reset();
      return;
    }
    if (gate !== undefined) connection.socket.once('close', () => gate.leave(client));
    if (forward === undefined) void serve(connection, client);
    else {
      connection.socket.pause(); // until it is known where to
      listener.admit(connection);
      void carrier.carry(connection, forwarded(forward), askerOf(client), true);
    }
  }

  /** Finds out what a client wants, and sees to it. */
  async function serve(connection: Connection, client: string): Promise<void> {
    const request = await acceptRequest(connection, config.socksUsers, offered).catch(error => {
      log.info({ client }, error.message);
    });
    if (request === undefined) return;
    if (request.command === 'http') http.take(connection, request.first, client);
    else {
      listener.admit(connection);
      if (request.command === 'udpAssociate') {
        await carrier.informed();
        await associate(connection, request, client);
      } else await carrier.carry(connection, request, askerOf(client, request.username));
    }
  }

  /** Tells the router what the server in use has said. */
  function learn(): void {
    const { known, kind } = pool.active.extensions;
    router.attach(attachedNetworks());
    router.learn(known && clusterOf(known), kind);
  }

  function dnsZones(): string[] {
    return [...new Set([pool.active.extensions.known?.domain ?? DEFAULT_DOMAIN, ...(config.dns?.zones ?? [])])];
  }

  function startDns({ listen, servers, upstreams }: DnsConfig): Promise<RunningDns> {
    const listed = systemResolvers({
      platform: process.platform,
      resolvConf: '/etc/resolv.conf',
      now: () => performance.now(),
    });
    return startLocalDns({
      listen,
      openStream: (target, options) => carrier.openTunnel(target, options),
      cluster: {
        zones: dnsZones,
        networks: () => router.clusterNetworks,
        nameservers: () => (servers.length > 0 ? servers : (pool.active.extensions.known?.nameservers ?? [])),
      },
      mapped,
      upstreams: upstreams.length > 0 ? () => upstreams : listed,
      isAllowed: address => isOfThisMachine(address),
      log,
    });
  }

  function status(): ClientStatus {
    return {
      ssLocal: { version, pid: process.pid },
      since,
      listen: listener.addresses.slice(0, config.listen.length).map(formatTarget),
      asksForPassword: config.socksUsers.length > 0,
      udp: offered.udp ? (config.udpOverTcp ? 'over-tcp' : 'datagrams') : 'off',
      route: router.inForce,
      servers: pool.status(),
      ...activity.status(),
      ...(localDns && { dns: { listen: localDns.addresses.map(formatTarget), zones: dnsZones() } }),
      forwards: config.forwards.map(({ listen, target, protocol }) => ({
        listen: formatTarget(listen),
        target: formatTarget(target),
        protocol,
      })),
      maps: mapped.forwards.map(({ listen, target }) => ({
        name: target.host,
        address: listen.host,
        port: target.port,
      })),
    };
  }

  pool.onNews(learn);
  pool.onActiveChange(learn);
  const parts: Running[] = [listener];
  const close = async () => {
    pool.close();
    await plugins.close();
    http.close();
    stopSampling();
    clearInterval(attaching);
    await Promise.all(parts.map(part => part.close()));
  };
  let localDns: RunningDns | undefined;
  try {
    await listener.listen();
    for (const { listen, target, protocol } of config.forwards) {
      if (protocol === 'udp')
        parts.push(
          await startDatagramForward({ listen: [listen], target, openUplink: openForward, ...FORWARDING, log }),
        );
    }
    if (config.dns !== undefined) {
      localDns = await startDns(config.dns);
      parts.push(localDns);
    }
  } catch (error) {
    await close();
    throw error;
  }
  const at = listener.addresses.slice(0, config.listen.length);
  log.info(
    {
      server: pool.links.map(({ label }) => label).join(', '),
      method: pool.active.server.method.name,
      mode: config.mode,
      ...(config.udpOverTcp && { udpOverTcp: true }),
      cryptoBackend: describeBackend(pool.active.services.backend, config.cryptoBackend),
      maxConnections,
    },
    `SOCKS5 on ${at.map(formatTarget).join(', ')}, and SOCKS4 and HTTP`,
  );
  return {
    addresses: at,
    datagramCounts,
    status,
    found: async () => {
      if (asks) await pool.active.extensions.ask();
      const { extensions, services } = pool.active;
      return {
        status: status(),
        known: extensions.known,
        backend: describeBackend(services.backend, config.cryptoBackend),
        lanAddresses: config.lan === undefined ? [] : lanAddresses(),
      };
    },
    drain: async () => {
      http.drain();
      await Promise.all(parts.map(part => part.drain()));
      await close();
    },
    close,
  };
}

const LOG_INTERVAL_MS = 10_000;

const ATTACH_MS = 10_000;

/** Of clusters that nobody has given another. */
const DEFAULT_DOMAIN = 'cluster.local';

const UDP_ONLY = 'ss-local was started for UDP only (-U)';

/** Of a UDP forward: programs at a time, each of which has an association, and milliseconds until one is forgotten. */
const FORWARDING = { maxClients: 1024, idleTimeout: 300_000 };

interface TurnedAway {
  readonly client: string;
  readonly obstacle: string;
}

/** The networks that this machine is in, as CIDRs of its addresses. */
function attachedNetworks(): string[] {
  return Object.values(networkInterfaces()).flatMap(entries => entries?.flatMap(({ cidr }) => cidr ?? []) ?? []);
}

/** By which other machines of the local network reach this one. */
function lanAddresses(): string[] {
  return Object.values(networkInterfaces()).flatMap(
    entries =>
      entries?.flatMap(({ internal, address, family }) => (internal || family !== 'IPv4' ? [] : address)) ?? [],
  );
}

/** For a start that does not come about. */
function failing(cleanUp: () => Promise<void>): (error: unknown) => Promise<never> {
  return async error => {
    await cleanUp();
    throw error;
  };
}

function askerOf(client: string, username?: string): Asker {
  return { client, username, isRemote: !isOfThisMachine(client) };
}

/** What comes to a port that stands for a target asks for nothing, and is told nothing. */
function forwarded({ target }: Forward): ConnectRequest {
  return { command: 'connect', target, rest: NOTHING, encodeReply: () => NOTHING };
}

const NOTHING = new Uint8Array(0);

function clusterOf({ domain, namespace, nameservers, allowed, default: otherwise }: KnownServer): KnownCluster {
  return {
    ...(domain && { domain }),
    ...(namespace && { namespace }),
    nameservers: nameservers.map(({ host }) => host),
    allowed,
    default: otherwise,
  };
}
