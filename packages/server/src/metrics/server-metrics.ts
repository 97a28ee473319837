import { type DatagramCounts, DROP_REASONS } from '@podsocks/shared/net/datagram-counts';
import type { Registry } from 'prom-client';
import type { Limits } from '../limits.ts';
import type { Resolver } from '../resolver/resolver.ts';
import { LATENCY_BOUNDS_MS } from '../resolver/resolver-stats.ts';
import { DURATION_BOUNDS_MS } from './durations.ts';
import { counter, gauge, histogram, samplesBy } from './families.ts';
import type { SessionCounts } from './session-counts.ts';
import type { StrangerCounts } from './stranger-counts.ts';

/** What a server tells of itself at any moment. All counts are since its start. */
export interface ServerStatus {
  readonly limits: Limits;
  /** Of all connections of clients, in whatever state: what the limit is for. */
  readonly clientConnections: () => number;
  /** Those whom the deadline of strangers is for: they have not authenticated, or are being dismissed, or ask for information. */
  readonly strangers: () => number;
  /** Connections that were closed as they came, because there were too many. */
  readonly turnedAway: () => number;
  readonly strangerCounts: StrangerCounts;
  /** Of UDP, and UDP over TCP. */
  readonly datagramCounts: DatagramCounts;
  readonly resolver: Pick<Resolver, 'stats' | 'load'>;
}

/** What users do, and what becomes of strangers, datagrams and names. Nothing is counted here: it is read when asked for. */
export function registerServer(registry: Registry, server: ServerStatus, sessions: SessionCounts): void {
  registerSessions(registry, sessions);
  registerStrangers(registry, server);
  registerDatagrams(registry, server.datagramCounts);
  registerNames(registry, server.resolver);
}

function registerSessions(registry: Registry, sessions: SessionCounts): void {
  const of = (protocol: 'tcp' | 'udp', field: 'open' | 'opened') => () =>
    sessions.of(protocol).map(totals => ({ labels: { user: totals.user }, value: totals[field] }));
  const labels = ['user'];
  gauge(
    registry,
    { name: 'podsocks_connections', help: 'Connections that reached their target and are open.', labels },
    of('tcp', 'open'),
  );
  counter(
    registry,
    { name: 'podsocks_connections_opened_total', help: 'Connections that reached their target.', labels },
    of('tcp', 'opened'),
  );
  gauge(
    registry,
    { name: 'podsocks_associations', help: 'UDP associations that are open, UDP over TCP included.', labels },
    of('udp', 'open'),
  );
  counter(
    registry,
    { name: 'podsocks_associations_opened_total', help: 'UDP associations that sent to a target.', labels },
    of('udp', 'opened'),
  );
  counter(
    registry,
    {
      name: 'podsocks_bytes_total',
      help: 'Bytes of payload, open sessions included; up is towards the target.',
      labels: ['user', 'protocol', 'direction'],
    },
    () =>
      sessions.totals().flatMap(({ user, protocol, bytesUp, bytesDown }) => [
        { labels: { user, protocol, direction: 'up' }, value: bytesUp },
        { labels: { user, protocol, direction: 'down' }, value: bytesDown },
      ]),
  );
  counter(
    registry,
    { name: 'podsocks_refusals_total', help: 'Targets that users did not reach, by why.', labels: ['reason'] },
    () => samplesBy('reason', sessions.refusals),
  );
  counter(
    registry,
    { name: 'podsocks_sessions_closed_total', help: 'Sessions that have ended, by how.', labels: ['end'] },
    () => samplesBy('end', sessions.ends),
  );
  histogram(
    registry,
    {
      name: 'podsocks_dial_duration_seconds',
      help: 'From the request of a user to the connection with the target, its name looked up; without those that failed.',
    },
    DURATION_BOUNDS_MS,
    () => sessions.dials,
  );
}

function registerStrangers(registry: Registry, server: ServerStatus): void {
  const { strangerCounts, datagramCounts } = server;
  counter(
    registry,
    {
      name: 'podsocks_authentication_failures_total',
      help: 'Requests and datagrams that no key opens.',
    },
    () => [{ value: strangerCounts.refused.authentication + (datagramCounts.drops.authentication ?? 0) }],
  );
  counter(registry, { name: 'podsocks_replays_total', help: 'Requests and datagrams that were seen before.' }, () => [
    { value: strangerCounts.refused.replay + (datagramCounts.drops.replay ?? 0) },
  ]);
  counter(
    registry,
    {
      name: 'podsocks_strangers_refused_total',
      help: 'Connections that did not become those of a user, by why.',
      labels: ['reason'],
    },
    () => samplesBy('reason', strangerCounts.refused),
  );
  counter(
    registry,
    {
      name: 'podsocks_strangers_turned_away_total',
      help: 'Connections that were closed as they came, because there were too many.',
    },
    () => [{ value: server.turnedAway() }],
  );
  gauge(
    registry,
    {
      name: 'podsocks_client_connections',
      help: 'Connections of clients that are open, strangers included; see podsocks_connections_limit.',
    },
    () => [{ value: server.clientConnections() }],
  );
  gauge(
    registry,
    {
      name: 'podsocks_strangers',
      help: 'Connections that make room for others: not authenticated, being dismissed, or at the information host.',
    },
    () => [{ value: server.strangers() }],
  );
  gauge(
    registry,
    { name: 'podsocks_connections_limit', help: 'How many connections there may be, strangers included.' },
    () => [{ value: server.limits.maxConnections }],
  );
  gauge(
    registry,
    { name: 'podsocks_associations_limit', help: 'How many UDP associations there may be; 0 without UDP.' },
    () => [{ value: server.limits.udpMaxAssociations ?? 0 }],
  );
}

function registerDatagrams(registry: Registry, counts: DatagramCounts): void {
  counter(
    registry,
    { name: 'podsocks_datagrams_total', help: 'Datagrams that were passed on.', labels: ['direction'] },
    () => samplesBy('direction', { up: counts.packetsUp, down: counts.packetsDown }),
  );
  const none = Object.fromEntries(Object.keys(DROP_REASONS).map(reason => [reason, 0]));
  counter(
    registry,
    { name: 'podsocks_datagrams_dropped_total', help: 'Datagrams that went no further, by why.', labels: ['reason'] },
    () => samplesBy('reason', { ...none, ...counts.drops }),
  );
}

function registerNames(registry: Registry, resolver: ServerStatus['resolver']): void {
  const { stats } = resolver;
  histogram(
    registry,
    {
      name: 'podsocks_dns_duration_seconds',
      help: 'Look-ups of names that were not in the cache, with all their queries.',
    },
    LATENCY_BOUNDS_MS,
    () => stats.latency,
  );
  counter(
    registry,
    { name: 'podsocks_dns_failures_total', help: 'Names without an address, by why.', labels: ['reason'] },
    () => samplesBy('reason', stats.failures),
  );
  counter(
    registry,
    { name: 'podsocks_dns_queries_total', help: 'Messages sent to DNS servers.', labels: ['transport'] },
    () => samplesBy('transport', stats.queries),
  );
  const plain: [name: string, help: string, read: () => number][] = [
    ['podsocks_dns_names_total', 'Names that were asked for.', () => stats.names],
    ['podsocks_dns_cache_hits_total', 'Names that were known without asking a server.', () => stats.known],
    ['podsocks_dns_failovers_total', 'Queries for which another server had to be asked.', () => stats.failovers],
    ['podsocks_dns_foreign_datagrams_total', 'Datagrams that were no answer to the query.', () => stats.foreign],
  ];
  for (const [name, help, read] of plain) counter(registry, { name, help }, () => [{ value: read() }]);
  const load: [name: string, help: string, read: () => number][] = [
    ['podsocks_dns_queries_in_flight', 'Queries that wait for an answer.', () => resolver.load.queries],
    ['podsocks_dns_queries_waiting', 'Queries that wait for others to end.', () => resolver.load.waiting],
    ['podsocks_dns_cached_names', 'Names that are remembered.', () => resolver.load.remembered],
  ];
  for (const [name, help, read] of load) gauge(registry, { name, help }, () => [{ value: read() }]);
}
