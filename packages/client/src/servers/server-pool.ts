import { networkInterfaces } from 'node:os';
import { atMostEvery } from '@podsocks/shared/runtime/at-most-every';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import type { Logger } from '@podsocks/shared/runtime/log';
import type { Server } from '../servers.ts';
import type { ServerStatus } from '../status/client-status.ts';
import { awaitHealthy } from './await-healthy.ts';
import { Choice, preference, type Switch } from './choice.ts';
import { type ReachServer, serverDialler } from './dial-server.ts';
import { Listeners } from './listeners.ts';
import { Preconnected } from './preconnected.ts';
import { Prober } from './prober.ts';
import { firstToConnect, type Reached } from './race.ts';
import { serverIdentity } from './server-identity.ts';
import { type LinkConfig, ServerLink } from './server-link.ts';
import { type Upheaval, WakeWatch } from './wake-watch.ts';

export type { Reached } from './race.ts';

export interface PoolConfig extends LinkConfig {
  /** How many connections to the server in use wait for requests; default: none. */
  readonly preconnect?: number;
}

export interface ServerPoolOptions {
  /** At least one. */
  readonly servers: readonly Server[];
  readonly config: PoolConfig;
  /** Whether a server that is the only one is asked what it is. Several are asked in any case. */
  readonly askExtensions: boolean;
  /** Whether {@link ServerPool.replace} will be called. */
  readonly mayChange?: boolean;
  /** Whether servers are probed at all; not where they take datagrams only. */
  readonly probes?: boolean;
  readonly log: Logger;
  /** Is called when the pool is closed. */
  readonly closed?: () => void;
  /** Default: as the configuration says. */
  readonly dialServer?: ReachServer;
  /** A clock that never steps back, in milliseconds. */
  readonly now?: () => number;
  /** From 0 up to 1. */
  readonly random?: () => number;
}

export interface ReachOptions {
  /** Gives up what is not reached yet. */
  readonly signal?: AbortSignal;
  /** Servers that have just failed this request; they are tried last. */
  readonly avoid?: ReadonlySet<ServerLink>;
}

const TICK_MS = 1_000;

/** After so long without a request nothing is probed: a laptop that nobody uses. */
const IDLE_MS = 300_000;

/** How long a request waits, from then on, when nothing is known of any server. */
const PATIENCE_MS = 1_000;

/** Connections are made ahead while requests come at least so often. */
const BUSY_MS = 30_000;

/** All servers, of which one is in use. */
export class ServerPool {
  readonly #options: ServerPoolOptions;
  readonly #dialServer: ReachServer;
  readonly #now: () => number;
  readonly #isWatched: boolean;
  #links: readonly ServerLink[] = [];
  readonly #choice: Choice<ServerLink>;
  readonly #preconnected: Preconnected | undefined;
  readonly #wake: WakeWatch;
  readonly #prober: Prober | undefined;
  readonly #moved = new Listeners<ServerLink>();
  readonly #news = new Listeners<ServerLink>();
  readonly #unreachable = new Listeners<void>();
  readonly #shaken = new Listeners<void>();
  readonly #heard = new Listeners<void>();
  readonly #warnUnhealthy: (link: ServerLink) => void;
  #ticking: NodeJS.Timeout | undefined;
  /** Whether something was asked since the last tick, and when that was last seen. */
  #wasUsed = false;
  #usedAt = Number.NEGATIVE_INFINITY;
  /** When all was forgotten, the last time. */
  #forgotAt = Number.NEGATIVE_INFINITY;
  #closed = false;

  constructor(options: ServerPoolOptions) {
    const { servers, config, log, askExtensions, mayChange = false, probes = true } = options;
    this.#options = options;
    this.#dialServer = options.dialServer ?? serverDialler(config);
    this.#now = options.now ?? (() => performance.now());
    this.#isWatched = probes && (new Set(servers.map(serverIdentity)).size > 1 || mayChange);
    this.#links = this.#linksTo(servers);
    this.#choice = new Choice(this.#links[0]!);
    this.#wake = new WakeWatch({ monotonic: this.#now, wall: Date.now, interfaces: networkInterfaces });
    const size = config.preconnect ?? 0;
    this.#preconnected =
      size > 0
        ? new Preconnected({ size, dial: signal => this.active.dial(undefined, signal), now: this.#now })
        : undefined;
    this.#warnUnhealthy = atMostEvery<ServerLink>(LOG_INTERVAL_MS, (count, link) =>
      log.warn({ count }, `the server ${link.label} is unhealthy: ${link.health.reason}`),
    );
    this.#prober = this.#isWatched
      ? new Prober({
          links: () => this.#links,
          active: () => this.active,
          usedAt: () => this.#usedAt,
          now: this.#now,
          random: options.random ?? Math.random,
        })
      : undefined;
    if (this.#isWatched) this.used();
    else if (askExtensions) void this.active.probe();
  }

  /** Where new connections and new UDP sessions go now. */
  get active(): ServerLink {
    return this.#choice.active;
  }

  get links(): readonly ServerLink[] {
    return this.#links;
  }

  /** Whether the active server may be another one later. */
  get mayMove(): boolean {
    return this.#links.length > 1 || (this.#options.mayChange ?? false);
  }

  /**
   * A connection for a request: to the server in use, or to another one if that fails or is late.
   *
   * @throws PodsocksError ERR_DIAL or ERR_TIMEOUT that says what each server has failed with; ERR_CLOSED if it was given up.
   */
  async reach({ signal, avoid }: ReachOptions = {}): Promise<Reached> {
    this.used();
    // From an address that is not there any more nothing gets out, and nobody is told.
    this.#checkWake((this.#preconnected?.length ?? 0) > 0);
    const timeout = this.#isWatched ? this.#forgotAt + PATIENCE_MS - this.#now() : 0;
    await awaitHealthy({ links: () => this.#links, heard: this.#heard, timeout, signal });
    const ordered = preference(this.#links, this.active);
    const links = avoid === undefined ? ordered : [...ordered].sort((a, b) => +avoid.has(a) - +avoid.has(b));
    const first = links[0]!;
    this.#prober?.probeIfSilent(first);
    const ready = first === this.active ? this.#preconnected?.take() : undefined;
    this.#preconnected?.fill();
    if (ready !== undefined) return { link: first, connection: ready };
    try {
      return await firstToConnect(links, { timeout: this.#options.config.connectTimeout, signal });
    } catch (error) {
      if (error instanceof PodsocksError && error.code !== 'ERR_CLOSED') this.#unreachable.call();
      throw error;
    }
  }

  /** Something goes through the tunnel. As cheap as can be: it is called for each datagram. */
  used(): void {
    this.#wasUsed = true;
    if (this.#ticking === undefined) this.#start();
  }

  /** Calls back whenever another server is in use. @returns how to stop that. */
  onActiveChange(listener: (active: ServerLink) => void): () => void {
    return this.#moved.add(listener);
  }

  /** Calls back whenever something else is known of a server, or nothing any more. @returns how to stop that. */
  onNews(listener: (link: ServerLink) => void): () => void {
    return this.#news.add(listener);
  }

  /** Calls back whenever no server could be reached. @returns how to stop that. */
  onUnreachable(listener: () => void): () => void {
    return this.#unreachable.add(listener);
  }

  /** Calls back when connections of before may lead nowhere: this machine has slept, or moved. @returns how to stop that. */
  onUpheaval(listener: () => void): () => void {
    return this.#shaken.add(listener);
  }

  status(): readonly ServerStatus[] {
    return this.#links.map(link => link.status(link === this.active));
  }

  /** Goes on with other servers, at least one; those that stay keep what is known of them, and connections go on. */
  replace(servers: readonly Server[]): void {
    const before = this.#links;
    this.#links = this.#linksTo(servers);
    for (const link of before) if (!this.#links.includes(link)) link.close();
    this.#decide();
    this.#prober?.probeDue();
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#ticking);
    this.#ticking = undefined;
    this.#preconnected?.drop();
    for (const link of this.#links) link.close();
    this.#options.closed?.();
    this.#prober?.close();
    for (const listeners of [this.#moved, this.#news, this.#unreachable, this.#shaken, this.#heard]) listeners.clear();
  }

  /** Those that are there already, and new ones; of entries that say the same, one. */
  #linksTo(servers: readonly Server[]): readonly ServerLink[] {
    const known = new Map(this.#links.map(link => [serverIdentity(link.server), link]));
    const links = new Map<string, ServerLink>();
    for (const server of servers) {
      const identity = serverIdentity(server);
      if (!links.has(identity)) links.set(identity, known.get(identity) ?? this.#link(server));
    }
    return [...links.values()];
  }

  #link(server: Server): ServerLink {
    const { config, log } = this.#options;
    return new ServerLink(server, {
      config,
      dialServer: this.#dialServer,
      isOneOfSeveral: this.#isWatched,
      watcher: {
        answering: () => this.#checkWake(),
        probed: (link, isNews) => this.#probed(link, isNews),
        suspected: link => this.#suspected(link),
      },
      log,
      now: this.#now,
    });
  }

  #start(): void {
    if (this.#closed) return;
    const now = this.#now();
    const hasRested = now - this.#usedAt > IDLE_MS;
    this.#usedAt = now;
    this.#ticking = setInterval(() => this.#tick(), TICK_MS).unref();
    this.#wake.check(); // the pause was on purpose
    if (hasRested) this.#forget();
  }

  #tick(): void {
    const now = this.#now();
    if (this.#wasUsed) this.#usedAt = now;
    this.#wasUsed = false;
    this.#checkWake();
    if (now - this.#usedAt > IDLE_MS) {
      clearInterval(this.#ticking);
      this.#ticking = undefined;
      this.#preconnected?.drop();
      return;
    }
    this.#preconnected?.expire();
    if (now - this.#usedAt < BUSY_MS) this.#preconnected?.fill();
    this.#prober?.probeDue();
  }

  #checkWake(looks = false): void {
    const upheaval = this.#ticking === undefined ? undefined : this.#wake.check(looks);
    if (upheaval === undefined) return;
    this.#options.log.info(`${AFTER[upheaval]}${this.#isWatched ? ': all servers are looked at anew' : ''}`);
    this.#forget();
    this.#shaken.call();
  }

  /** Nothing that was known of any server holds any more. */
  #forget(): void {
    this.#preconnected?.drop();
    if (!this.#isWatched) return;
    this.#forgotAt = this.#now();
    for (const link of this.#links) link.forget();
    this.#choice.unsettle();
    this.#prober?.probeDue();
  }

  #suspected(link: ServerLink): void {
    this.#checkWake();
    this.#prober?.probeSuspect(link);
  }

  #probed(link: ServerLink, isNews: boolean): void {
    if (this.#closed || !this.#links.includes(link)) return;
    if (isNews) this.#news.call(link);
    if (!this.#isWatched) return;
    if (link.health.badInARow === 1) this.#warnUnhealthy(link);
    this.#decide(link);
    this.#heard.call();
  }

  #decide(probed?: ServerLink): void {
    const before = this.active;
    const change = this.#choice.decide(this.#links, this.#now(), probed);
    if (change === undefined) return;
    this.#preconnected?.drop();
    this.#options.log.info(`new connections go to ${change.to.label}: ${reasonOf(change, before)}`);
    this.#moved.call(change.to);
  }
}

const LOG_INTERVAL_MS = 1_000;

const AFTER: Record<Upheaval, string> = {
  slept: 'this machine or process has slept',
  network: 'the addresses of this machine have changed',
};

function reasonOf({ because, to }: Switch<ServerLink>, { label, health }: ServerLink): string {
  const time = (latency: number | undefined) => `${Math.round(latency ?? 0)} ms`;
  if (because === 'unhealthy') return `${label} is unhealthy: ${health.reason}`;
  if (because === 'gone') return `${label} is not in the list any more`;
  if (because === 'preferred') return `it comes first, and is no slower than ${label}`;
  return `it is faster than ${label} (${time(to.health.latency)}, ${time(health.latency)})`;
}
