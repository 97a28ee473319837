import { setTimeout as sleep } from 'node:timers/promises';
import type { DatagramCounts } from '@podsocks/shared/net/datagram-counts';
import type { Endpoint, Listener } from '@podsocks/shared/net/listener';
import type { Running } from '@podsocks/shared/runtime/lifecycle';
import type { Registry } from 'prom-client';
import type { AuditSink } from './audit/audit-log.ts';
import type { ServerConfig } from './config.ts';
import { knownUsers } from './keyring.ts';
import type { OwnListeners } from './policy/own-listeners.ts';
import type { Policy } from './policy/policy.ts';
import type { Resolver } from './resolver/resolver.ts';
import type { Sessions } from './sessions/sessions.ts';
import type { DatagramServer } from './udp/datagram-server.ts';
import type { LiveUsers } from './users/live-users.ts';
import type { ServerUser } from './users/user.ts';

/** Sockets that were ended are closed long before. */
const CLOSING_LIMIT_MS = 1_000;

/** What {@link PreparedServer} is made of. */
export interface ServerParts {
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
export class PreparedServer implements Running {
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
      const { admin, listen, publicListen } = this.#config;
      const endpoints = addresses.length > 0 ? addresses : listen;
      await this.#datagrams?.listen(publicListen ?? endpoints);
      const bound = this.addresses.length > 0 ? this.addresses : endpoints;
      this.#own.set([...bound, ...(publicListen ? [...endpoints, ...publicListen] : []), ...(admin ? [admin] : [])]);
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

  /** Others may use it from now on: see {@link LiveUsers.replace}. */
  replaceUsers(users: readonly ServerUser[]): void {
    this.#policy.replaceUsers(knownUsers({ ...this.#config, users }));
    this.#users.replace(users);
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
    this.#users.close();
    if (this.#audit === undefined) return;
    await Promise.race([this.#sessions.closed(), sleep(CLOSING_LIMIT_MS, undefined, { ref: false })]);
    await this.#audit.close();
  }
}
