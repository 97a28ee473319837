import { describeBackend } from '@podsocks/shared/crypto/backends';
import type { Connection } from '@podsocks/shared/net/connection';
import { DatagramCounts } from '@podsocks/shared/net/datagram-counts';
import { connectionBudget } from '@podsocks/shared/net/descriptors';
import { IdleClock } from '@podsocks/shared/net/idle-clock';
import type { Endpoint } from '@podsocks/shared/net/listener';
import type { Running } from '@podsocks/shared/runtime/lifecycle';
import type { Logger } from '@podsocks/shared/runtime/log';
import { carriesTcp, carriesUdp } from '@podsocks/shared/settings/mode';
import { formatTarget } from '@podsocks/shared/wire/address';
import { Carrier } from './carrier.ts';
import type { ClientConfig } from './config.ts';
import { type ClusterDns, startClusterDns } from './dns/cluster-dns.ts';
import type { Forward } from './forward/fields.ts';
import { MappedNames } from './forward/mapped-names.ts';
import { parseAuthority } from './http/authority.ts';
import { localPages } from './http/local-pages.ts';
import { Inbound } from './inbound.ts';
import { ClientGate } from './listen/client-gate.ts';
import { attachedNetworks, lanAddresses } from './listen/machine-addresses.ts';
import type { OpenStream } from './open-stream.ts';
import { clusterOf } from './routing/cluster-routes.ts';
import { Router } from './routing/router.ts';
import { openServers } from './servers/open-servers.ts';
import { Activity, sampleRegularly } from './status/activity.ts';
import type { ChecklistFacts } from './status/checklist.ts';
import type { ClientStatus } from './status/client-status.ts';
import { reportStatus } from './status/report-status.ts';
import { associations } from './udp/associations.ts';
import { startDatagramForward } from './udp/forward.ts';
import { udpUplinks } from './udp/uplinks.ts';

export interface RunningClient extends Running {
  /** Where SOCKS and HTTP are served. */
  readonly addresses: readonly Endpoint[];
  /** What went through as UDP since the start. */
  readonly datagramCounts: DatagramCounts;
  status(): ClientStatus;
  /** What there is to say at the start, once the server has said what it is, or has not within a while; nothing, once it stops. */
  found(): Promise<ChecklistFacts | undefined>;
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
  const asks = offered.tcp && (config.connectReply === 'auto' || config.route.mode !== 'all' || !!config.dns);
  const clock = new IdleClock(config.timeout);
  const activity = new Activity(() => performance.now());
  const datagramCounts = new DatagramCounts();
  const { pool, plugins } = await openServers(config, { asks, probes: offered.tcp, log });
  const router = new Router(config.route, attachedNetworks());
  const mapped = new MappedNames(config.maps);
  // An association has two sockets for each of two ways beside its connection; HTTP keeps streams to origins beside those in use.
  const maxConnections = config.maxConnections ?? connectionBudget(config.nofile, { each: offered.udp ? 5 : 3 });
  const gate = config.lan && new ClientGate(config.lan);

  const expel = (connection: Connection) => inbound.expel(connection);
  const carrier = new Carrier({ config, pool, router, activity, asks, clock, log, expel });
  const uplinks = udpUplinks({ config, pool, router, clock });
  const associate = associations({ config, openUplink: uplinks.routed, total: datagramCounts, log, expel });
  const inbound = new Inbound({
    config,
    maxConnections,
    gate,
    offered,
    forwards: [...config.forwards, ...mapped.forwards].filter(({ protocol }) => protocol === 'tcp'),
    pages: localPages({ status, pac: authority => currentRouter().pac(parseAuthority(authority)) }),
    carrier,
    associate,
    log,
  });

  /** A laptop is carried from one network into another. */
  function currentRouter(): Router {
    router.attach(attachedNetworks());
    return router;
  }

  /** Tells the router what the server in use has said. */
  function learn(): void {
    const { known, kind } = pool.active.extensions;
    currentRouter().learn(known && clusterOf(known), kind);
  }

  pool.onNews(learn);
  pool.onActiveChange(learn);
  const parts: Running[] = [inbound];
  const timers = [setInterval(currentRouter, ATTACH_MS).unref(), sampleRegularly(activity)];
  let isStopping = false;
  const close = async () => {
    isStopping = true;
    for (const timer of timers) clearInterval(timer);
    pool.close();
    await Promise.all([plugins.close(), ...parts.map(part => part.close())]);
  };
  const udpAddresses = new Map<Forward, Endpoint>();
  let dns: ClusterDns | undefined;
  try {
    await inbound.listen();
    for (const forward of config.forwards) {
      if (forward.protocol === 'tcp') continue;
      const { listen, target } = forward;
      const openUplink = uplinks.forwarded;
      const running = await startDatagramForward({ listen: [listen], target, openUplink, gate, ...FORWARDING, log });
      parts.push(running);
      udpAddresses.set(forward, running.addresses[0]!);
    }
    if (config.dns !== undefined) {
      const openStream: OpenStream = (target, options) => carrier.openTunnel(target, options);
      dns = await startClusterDns({ config: config.dns, pool, router, mapped, openStream, log });
      parts.push(dns);
    }
  } catch (error) {
    await close();
    throw error;
  }

  function status(): ClientStatus {
    const { addresses } = inbound;
    const addressOf = (forward: Forward) => udpAddresses.get(forward) ?? inbound.addressOf(forward);
    return reportStatus({ config, version, since, addresses, addressOf, router, pool, activity, mapped, dns });
  }

  const backend = () => describeBackend(pool.active.services.backend, config.cryptoBackend);
  log.info(
    {
      server: pool.links.map(({ label }) => label).join(', '),
      method: pool.active.server.method.name,
      mode: config.mode,
      ...(config.udpOverTcp && { udpOverTcp: true }),
      cryptoBackend: backend(),
      maxConnections,
    },
    `SOCKS5, SOCKS4 and HTTP on ${inbound.addresses.map(formatTarget).join(', ')}`,
  );
  return {
    addresses: inbound.addresses,
    datagramCounts,
    status,
    found: async () => {
      if (asks) await pool.active.extensions.ask();
      if (isStopping) return undefined;
      const { known } = pool.active.extensions;
      const reached = gate === undefined ? [] : lanAddresses();
      return {
        status: status(),
        known,
        asked: asks,
        offersTcp: offered.tcp,
        backend: backend(),
        lanAddresses: reached,
      };
    },
    drain: async () => {
      isStopping = true;
      await Promise.all(parts.map(part => part.drain()));
      await close();
    },
    close,
  };
}

const ATTACH_MS = 10_000;

/** Of a UDP forward: programs at a time, each of which has an association, and milliseconds until one is forgotten. */
const FORWARDING = { maxClients: 1024, idleTimeout: 300_000 };
