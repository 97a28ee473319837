import type { BackendChoice } from '@podsocks/shared/crypto/backends';
import type { ClientKeys } from '@podsocks/shared/crypto/key-derivation';
import type { ClientStreams, StreamServices } from '@podsocks/shared/crypto/stream';
import { clientStreams } from '@podsocks/shared/crypto/streams';
import type { Connection } from '@podsocks/shared/net/connection';
import { streamServices } from '@podsocks/shared/net/stream-services';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import type { Logger } from '@podsocks/shared/runtime/log';
import { formatTarget } from '@podsocks/shared/wire/address';
import { Extensions } from '../extensions.ts';
import { type ProbeOutcome, probeServer } from '../server-probe.ts';
import type { Server } from '../servers.ts';
import type { ServerStatus } from '../status/client-status.ts';
import { ConnectTime, LEAST_PATIENCE_MS } from './connect-time.ts';
import type { DialConfig, ReachServer } from './dial-server.ts';
import { LinkHealth } from './link-health.ts';
import { Listeners } from './listeners.ts';

/** What of the configuration the servers need; times in milliseconds. */
export interface LinkConfig extends DialConfig {
  readonly connectTimeout: number;
  readonly cryptoBackend: BackendChoice;
}

/** Who chooses among several servers, and hears of what happens to each. */
export interface LinkWatcher {
  /** A probe is about to end; it means nothing if this machine has slept meanwhile, see {@link ServerLink.forget}. */
  answering(): void;
  /** A probe has ended. @param isNews whether something else is known of the server than before. */
  probed(link: ServerLink, isNews: boolean): void;
  /** It may have failed; it is to be probed. */
  suspected(link: ServerLink): void;
}

export interface LinkOptions {
  readonly config: LinkConfig;
  readonly dialServer: ReachServer;
  /** Whether there are others beside it, or may be, so that its health matters. */
  readonly isOneOfSeveral: boolean;
  readonly watcher: LinkWatcher;
  readonly log: Logger;
  /** A clock that never steps back, in milliseconds. */
  readonly now: () => number;
}

/** A probe of the only server may take its time; of several, one that is so late is not the one to use. */
const PROBE_TIMEOUT_MS = 5_000;
const PROBE_TIMEOUT_AMONG_SEVERAL_MS = 2_500;

/** Who was podsocks such a short while ago and closes connections now is a dead server behind something that accepts. */
const PODSOCKS_REMEMBERED_MS = 300_000;

/** One server: how to speak to it, and what is known of it. */
export class ServerLink {
  readonly server: Server;
  readonly keys: ClientKeys;
  readonly services: StreamServices;
  readonly streams: ClientStreams;
  readonly extensions: Extensions;
  readonly health = new LinkHealth();
  readonly #options: LinkOptions;
  readonly #connectTime = new ConnectTime();
  #podsocksAt = Number.NEGATIVE_INFINITY;
  #aliveAt = Number.NEGATIVE_INFINITY;
  #probing: Promise<void> | undefined;
  #probedAt = Number.NEGATIVE_INFINITY;
  /** Whether the probe that is under way has begun before all was forgotten. */
  #isStale = false;
  readonly #unhealthy = new Listeners<string>();
  #open = 0;
  #total = 0;
  #failed = 0;

  constructor(server: Server, options: LinkOptions) {
    const { config, log, isOneOfSeveral, now } = options;
    this.server = server;
    this.keys = server.keys;
    this.services = streamServices(server.method, config.cryptoBackend);
    this.streams = clientStreams(this.services);
    this.#options = options;
    this.extensions = new Extensions({
      probe: signal => this.#askWhatItIs(signal),
      answered: (outcome, isNews) => this.#answered(outcome, isNews),
      proved: () => {
        this.#aliveAt = now();
      },
      ...(isOneOfSeveral && { name: this.label }),
      log,
      now,
    });
  }

  /** `name (host:port)`, for people. */
  get label(): string {
    const { name } = this.server;
    const address = formatTarget(this.server);
    return name === undefined ? address : `${name} (${address})`;
  }

  /** When it has last shown that it is alive, and when its last probe ended. */
  get aliveAt(): number {
    return this.#aliveAt;
  }

  get probedAt(): number {
    return this.#probedAt;
  }

  get isProbing(): boolean {
    return this.#probing !== undefined;
  }

  /** Milliseconds to wait for a connect before another server is tried beside it. */
  get patience(): number {
    return this.health.state === 'unhealthy' ? LEAST_PATIENCE_MS : this.#connectTime.patience;
  }

  /**
   * A connection to this server and no other.
   *
   * @param timeout milliseconds.
   * @throws PodsocksError ERR_DIAL, ERR_TIMEOUT, or ERR_CLOSED where the signal says so.
   */
  async dial(timeout = this.#options.config.connectTimeout, signal?: AbortSignal): Promise<Connection> {
    const { health } = this;
    try {
      const connection = await this.#dial(timeout, signal);
      if (health.state === 'unhealthy') this.#accepts();
      return connection;
    } catch (error) {
      if (error instanceof PodsocksError && error.code === 'ERR_CLOSED') throw error;
      if (!this.#options.isOneOfSeveral) health.bad((error as Error).message, this.#options.now());
      this.suspect((error as Error).message);
      throw error;
    }
  }

  /** Something has gone wrong that may be the server's fault; of several servers, it is probed at once. */
  suspect(reason: string): void {
    const { isOneOfSeveral, watcher, log } = this.#options;
    if (!isOneOfSeveral) return;
    if (this.health.state !== 'unhealthy') this.health.isSuspect = true;
    log.debug({ server: this.label, reason }, 'a server is suspected');
    watcher.suspected(this);
  }

  /** Asks it what it is, which tells how it does. Resolves with the answer, or when it is late. */
  probe(): Promise<void> {
    this.#probing ??= this.extensions.ask().finally(() => {
      this.#probing = undefined;
    });
    return this.#probing;
  }

  /** What is known of its health is of no use any more: this machine has slept, or is somewhere else. */
  forget(): void {
    this.health.forget();
    this.#aliveAt = Number.NEGATIVE_INFINITY;
    this.#probedAt = Number.NEGATIVE_INFINITY;
    this.#connectTime.forget();
    this.#isStale = this.isProbing;
  }

  /** Calls back when it is found to be unhealthy: a request that waits for it waits in vain. @returns how to stop that. */
  onUnhealthy(listener: (reason: string) => void): () => void {
    return this.#unhealthy.add(listener);
  }

  /** A request goes there. */
  begun(): void {
    this.#open++;
    this.#total++;
  }

  /** One that was {@link begun} is over. @param failed whether that was the server's fault. */
  ended(failed: boolean): void {
    this.#open--;
    if (failed) this.#failed++;
  }

  /** @param isActive whether new connections go there. */
  status(isActive: boolean): ServerStatus {
    const { health, extensions, server } = this;
    const { known, kind } = extensions;
    return {
      ...(server.name !== undefined && { name: server.name }),
      address: formatTarget(server),
      method: server.method.name,
      health: health.state,
      active: isActive,
      ...(health.reason !== undefined && { reason: health.reason }),
      ...(health.roundTrip !== undefined && { roundTrip: health.roundTrip }),
      kind,
      ...(known && { version: known.version, ...(known.domain && { domain: known.domain }) }),
      connections: this.#open,
      total: this.#total,
      failed: this.#failed,
    };
  }

  close(): void {
    this.extensions.close();
    this.#unhealthy.clear();
  }

  /** It is back, or something is that only accepts connections. */
  #accepts(): void {
    if (this.#options.isOneOfSeveral) this.#options.watcher.suspected(this);
    else this.health.forget();
  }

  async #dial(timeout: number, signal?: AbortSignal): Promise<Connection> {
    const { now, dialServer } = this.#options;
    const begunAt = now();
    const connection = await dialServer(this.server, { timeout, signal });
    this.#connectTime.add(now() - begunAt);
    return connection;
  }

  async #askWhatItIs(signal: AbortSignal): Promise<ProbeOutcome> {
    const { streams, keys } = this;
    const timeout = this.#options.isOneOfSeveral ? PROBE_TIMEOUT_AMONG_SEVERAL_MS : PROBE_TIMEOUT_MS;
    const dialServer = (limit: number) => this.#dial(limit, signal);
    const outcome = await probeServer({ streams, keys, dialServer, timeout, signal });
    this.#options.watcher.answering();
    return outcome;
  }

  #answered(outcome: ProbeOutcome, isNews: boolean): void {
    const { now, watcher } = this.#options;
    const { health } = this;
    const at = now();
    if (this.#isStale) {
      this.#isStale = false;
      if (outcome.kind === 'unknown') return; // it may just have been asleep with us
    }
    this.#probedAt = at;
    if (outcome.kind === 'podsocks') this.#podsocksAt = at;
    const hasGone = outcome.kind === 'plain' && at - this.#podsocksAt < PODSOCKS_REMEMBERED_MS;
    if (outcome.kind === 'unknown') health.bad(outcome.reason, at);
    else if (hasGone) health.bad('it closes the connection; it was podsocks before', at);
    else {
      health.good(outcome.roundTrip);
      this.#aliveAt = at;
    }
    const { reason } = health;
    if (reason !== undefined) this.#unhealthy.call(reason);
    watcher.probed(this, isNews);
  }
}
