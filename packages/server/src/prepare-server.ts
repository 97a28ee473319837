import { serverDatagrams } from '@podsocks/shared/crypto/datagrams';
import type { SharedReplayFilter } from '@podsocks/shared/crypto/replay-filter';
import { DatagramCounts } from '@podsocks/shared/net/datagram-counts';
import { queryBudget } from '@podsocks/shared/net/descriptors';
import { datagramServices } from '@podsocks/shared/net/stream-services';
import type { Logger } from '@podsocks/shared/runtime/log';
import { hasReusePort } from '@podsocks/shared/runtime/node-features';
import { carriesTcp, carriesUdp } from '@podsocks/shared/settings/mode';
import { type AuditSink, auditLog } from './audit/audit-log.ts';
import type { ServerConfig } from './config.ts';
import type { Reach } from './dial-target.ts';
import { InformationServer } from './information/information-server.ts';
import { limitsOf } from './limits.ts';
import type { ServerStatus } from './metrics/server-metrics.ts';
import { serverRegistry } from './metrics/server-registry.ts';
import { SessionCounts } from './metrics/session-counts.ts';
import { StrangerCounts } from './metrics/stranger-counts.ts';
import { PreparedServer } from './prepared-server.ts';
import { asLookup, lookupFamily } from './resolver/lookup-function.ts';
import { UserLookups } from './resolver/user-lookups.ts';
import { policyOf } from './server-policy.ts';
import { resolverOf } from './server-resolver.ts';
import { Sessions } from './sessions/sessions.ts';
import { SilentAddresses } from './silent-addresses.ts';
import { streamServer } from './stream-server.ts';
import { DatagramServer } from './udp/datagram-server.ts';
import type { OutboundServices } from './udp/outbound.ts';
import { TargetNames } from './udp/target-names.ts';
import { LiveUsers } from './users/live-users.ts';

export interface ServerDependencies {
  readonly log: Logger;
  /** In a worker, the filter that it has together with the others; else there is one of the server's own. */
  readonly replays?: SharedReplayFilter;
  /** Gets a record of everything that users do; is closed when all of it has ended. */
  readonly audit?: AuditSink;
}

/**
 * ss-server without its ports: it may listen itself, or take connections that another process accepted.
 *
 * @throws PodsocksError ERR_CONFIG.
 */
export function prepareServer(config: ServerConfig, { log, replays, audit }: ServerDependencies): PreparedServer {
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
    ...(audit === undefined ? [] : [auditLog(audit)]),
    ...(sessionCounts === undefined ? [] : [sessionCounts]),
  ]);
  const users = new LiveUsers({ ...config, sessions, log });
  const sources = { resolver, lookups, policy, carriesUdp: carriesUdp(config.serviceMode ?? mode) };
  const information = new InformationServer(sources, user => users.objection(user) !== undefined, log);
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
  const streams = carriesTcp(mode)
    ? streamServer(config, {
        ...{ log, replays, maxConnections, reach, sessions, users, information },
        makeRoomOf: user => datagrams?.makeRoomOf(user) ?? false,
        ...{ outbound, datagramCounts, strangerCounts },
      })
    : undefined;
  const status: ServerStatus = {
    limits: { maxConnections, ...(udpMaxAssociations !== undefined && { udpMaxAssociations }) },
    clientConnections: () => streams?.size ?? 0,
    strangers: () => streams?.strangers ?? 0,
    turnedAway: () => streams?.turnedAway ?? 0,
    ...{ strangerCounts, datagramCounts, resolver },
  };
  const metrics = sessionCounts && serverRegistry(config, status, sessionCounts);
  const parts = { streams, datagrams, resolver, own, policy, users, sessions, audit, datagramCounts, metrics };
  return new PreparedServer(config, parts);
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
