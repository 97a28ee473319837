import { setTimeout as sleep } from 'node:timers/promises';
import type { ReplayFilter } from '@podsocks/shared/crypto/replay-filter';
import { Acceptor } from '@podsocks/shared/net/acceptor';
import { connectionBudget } from '@podsocks/shared/net/descriptors';
import type { Endpoint } from '@podsocks/shared/net/listener';
import { ownReplays } from '@podsocks/shared/net/stream-services';
import type { Logger, LogLevel } from '@podsocks/shared/runtime/log';
import { startWithAdmin } from '../admin/with-admin.ts';
import type { AuditSink } from '../audit/audit-log.ts';
import { openAudit } from '../audit/open-audit.ts';
import type { ServerConfig } from '../config.ts';
import { limitsOf } from '../limits.ts';
import { primaryRegistry } from '../metrics/server-registry.ts';
import { WorkerMetrics } from '../metrics/worker-metrics.ts';
import { behindPlugin, type ServerPlugins, startPlugins } from '../plugin/server-plugins.ts';
import { logStart, type RunningServer } from '../running-server.ts';
import { type ServerUser, shareOf } from '../users/user.ts';
import { UsersWatch } from '../users/users-watch.ts';
import { BackOff } from './back-off.ts';
import { HandOut } from './hand-out.ts';
import type { ToWorker } from './messages.ts';
import { relayLog } from './worker-log.ts';
import { WorkerProcess } from './worker-process.ts';

/** What a worker that was told to end gets beyond what it was told, before it is killed. */
const GRACE_MS = 2_000;

/** What a worker has to tell its metrics; less than a scrape or a probe waits. */
const MEASURE_MS = 1_500;

/** The one that serves UDP as well. */
const UDP_WORKER = 1;

/**
 * Starts ss-server in `config.workers` processes. This one, the primary, accepts the connections, and does nothing else
 * for them than to hand them out and to know all their salts.
 *
 * @throws PodsocksError ERR_LISTEN or ERR_CONFIG; then nothing runs.
 */
export function startWorkers(config: ServerConfig, { log }: { log: Logger }): Promise<RunningServer> {
  return startWithAdmin(config, log, async bound => {
    const server = await startPrimary(bound, log);
    const { metrics } = server;
    return { server, registry: () => metrics!.own, metrics: () => metrics!.page(), obstacle: () => server.obstacle };
  });
}

async function startPrimary(config: ServerConfig, log: Logger): Promise<Primary> {
  const audit = config.audit === undefined ? undefined : openAudit(config.audit, log);
  const primary = new Primary(config, log, audit);
  try {
    await primary.start();
  } catch (error) {
    await audit?.close();
    throw error;
  }
  return primary;
}

class Primary implements RunningServer {
  addresses: readonly Endpoint[] = [];
  /** Where there is an admin listener. */
  readonly metrics: WorkerMetrics | undefined;
  readonly #config: ServerConfig;
  readonly #log: Logger;
  readonly #audit: AuditSink | undefined;
  readonly #acceptor: Acceptor;
  readonly #handOut: HandOut;
  readonly #replays: ReplayFilter;
  readonly #workers = new Set<WorkerProcess>();
  /** Those of them that serve. */
  readonly #ready = new Set<WorkerProcess>();
  /** Those that there are now, with their whole limits. */
  #users: readonly ServerUser[];
  #usersWatch: UsersWatch | undefined;
  #plugins: ServerPlugins | undefined;
  readonly #stopping = new AbortController();
  /** Once stopping: resolves when no worker is left. */
  #allEnded: Promise<unknown> = Promise.resolve();

  constructor(config: ServerConfig, log: Logger, audit: AuditSink | undefined) {
    this.#config = config;
    this.#users = config.users;
    this.#log = log;
    this.#audit = audit;
    if (config.admin) {
      this.metrics = new WorkerMetrics({ own: primaryRegistry(() => this.#ready.size), patience: MEASURE_MS });
    }
    this.#handOut = new HandOut(connectionBudget(config.nofile), config.handshakeTimeout);
    this.#acceptor = new Acceptor({ ...behindPlugin(config), log, accept: socket => this.#handOut.offer(socket) });
    this.#replays = ownReplays(config.method);
  }

  async start(): Promise<void> {
    const { workers, reusePort, maxConnections } = this.#config;
    // With --reuse-port each worker listens itself, and the kernel hands out.
    if (!reusePort) await this.#acceptor.listen();
    const numbers = Array.from({ length: workers }, (_, index) => index + 1);
    const first = numbers.map(number => this.#startWorker(number));
    this.#allEnded = Promise.all(first.map(worker => worker.ended));
    try {
      const [bound] = await Promise.all(first.map(worker => worker.ready));
      this.#plugins = await startPlugins(this.#config, reusePort ? bound! : this.#acceptor.addresses, this.#log);
      this.addresses = this.#plugins.addresses;
    } catch (error) {
      await this.close();
      throw error;
    }
    this.#allEnded = Promise.all(first.map(worker => this.#keep(worker)));
    this.#watchUsers();
    const limits = limitsOf(this.#config);
    const cap =
      maxConnections ??
      limitsOf({ ...this.#config, mode: 'tcp_only' }).maxConnections * (workers - 1) + limits.maxConnections;
    logStart(this.#log, this.#config, { ...limits, maxConnections: cap, workers }, this.addresses);
  }

  /** How many users there are, without the one whose key is the server's. */
  get userCount(): number {
    return this.#users.length;
  }

  /** How often users could not be reloaded. */
  get reloadFailures(): number {
    return this.#usersWatch?.failures ?? 0;
  }

  /** Whether they are those of before, because what there is now cannot be used. */
  get usersStale(): boolean {
    return this.#usersWatch?.isStale ?? false;
  }

  /** What keeps it from serving; undefined if nothing does. */
  get obstacle(): string | undefined {
    return this.#ready.size > 0 ? this.#plugins?.obstacle : 'no worker runs; the log says why';
  }

  /** Stops accepting and lets connections finish, but at most `drainTimeout`. */
  drain(): Promise<void> {
    return this.#stop({ type: 'drain' }, this.#config.drainTimeout + GRACE_MS);
  }

  /** Ends everything now. */
  close(): Promise<void> {
    return this.#stop({ type: 'close' }, GRACE_MS);
  }

  async #stop(message: ToWorker, patience: number): Promise<void> {
    this.#stopping.abort();
    this.#acceptor.stop();
    this.#handOut.close();
    for (const worker of this.#workers) worker.send(message);
    const timer = setTimeout(() => {
      for (const worker of this.#workers) {
        this.#log.error({ worker: worker.number }, 'a worker does not end; killing it');
        worker.kill();
      }
    }, patience);
    await this.#allEnded;
    clearTimeout(timer);
    this.#usersWatch?.close();
    await this.#plugins?.close();
    await this.#audit?.close();
  }

  #watchUsers(): void {
    const { usersPath: path, method, key, users } = this.#config;
    if (path === undefined) return;
    const apply = (others: readonly ServerUser[]) => {
      this.#users = others;
      for (const worker of this.#workers) worker.send({ type: 'users', users: this.#shares() });
    };
    this.#usersWatch = new UsersWatch({ path, method, key, users, log: this.#log, apply });
  }

  /** The users as each worker has them. */
  #shares(): readonly ServerUser[] {
    return this.#users.map(user => shareOf(user, this.#config.workers));
  }

  #startWorker(number: number): WorkerProcess {
    const { workers, maxConnections, reusePort, listen, mode } = this.#config;
    const log = relayLog(this.#log, number);
    const worker = new WorkerProcess(number, message => {
      if (message.type === 'log') log(message.line);
      else if (message.type === 'audit') this.#audit?.write(message.line);
      else if (message.type === 'measures') this.metrics?.told(worker, message.families);
      else if (message.type === 'failing') this.#retire(worker);
      else worker.send({ type: 'verdicts', verdicts: message.salts.map(salt => this.#replays.add(salt)) });
    });
    const share = maxConnections === undefined ? {} : { maxConnections: Math.ceil(maxConnections / workers) };
    const config: ServerConfig = {
      ...behindPlugin(this.#config),
      ...share,
      users: this.#shares(),
      listen: reusePort ? listen : this.#acceptor.addresses,
      // A session may go on from another address, which could be another worker's; and its packets must be told apart
      // from replays in one place.
      mode: number === UDP_WORKER ? mode : 'tcp_only',
      serviceMode: mode,
    };
    worker.send({ type: 'start', worker: number, config, logLevel: this.#log.level as LogLevel });
    const onReady = () => {
      this.#log.debug({ worker: number, pid: worker.pid }, 'a worker is ready');
      this.#ready.add(worker);
      this.metrics?.add(worker);
      if (!this.#config.reusePort) this.#handOut.add(worker);
    };
    worker.ready.then(onReady, () => {}); // if it is never, it ends, and that is told
    this.#workers.add(worker);
    return worker;
  }

  /** It takes nothing new any more. */
  #retire(worker: WorkerProcess): void {
    this.#ready.delete(worker);
    this.#handOut.retire(worker);
  }

  /** Puts another in a worker's place whenever it ends, until the server stops. */
  async #keep(first: WorkerProcess): Promise<void> {
    const backOff = new BackOff();
    const { signal } = this.#stopping;
    for (let worker = first; ; worker = this.#startWorker(worker.number)) {
      const startedAt = performance.now();
      const end = await worker.ended;
      this.#workers.delete(worker);
      this.#ready.delete(worker);
      void this.metrics?.remove(worker);
      this.#handOut.remove(worker);
      if (signal.aborted) {
        if (end.code !== 0) this.#log.error({ worker: worker.number, ...end }, 'a worker ended before it was done');
        return;
      }
      const delay = backOff.after(performance.now() - startedAt);
      this.#log.error({ worker: worker.number, ...end, delay }, 'a worker has ended; another will take its place');
      await sleep(delay, undefined, { signal }).catch(() => {});
      if (signal.aborted) return;
    }
  }
}
