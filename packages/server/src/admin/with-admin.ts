import type { Endpoint } from '@podsocks/shared/net/listener';
import type { Logger } from '@podsocks/shared/runtime/log';
import { formatTarget } from '@podsocks/shared/wire/address';
import type { Registry } from 'prom-client';
import type { ServerConfig } from '../config.ts';
import { knownUsers } from '../keyring.ts';
import { registerLife, type UserFacts } from '../metrics/life-metrics.ts';
import type { RunningServer } from '../running-server.ts';
import { systemServers } from '../server-resolver.ts';
import { AdminListener, type Page, type Pages } from './admin-listener.ts';
import { DnsProbe } from './dns-probe.ts';
import { remembered } from './remembered.ts';

/** A server that runs, and what it tells those who look after it. */
export interface Administered {
  readonly server: RunningServer & UserFacts;
  /** That of this process. Neither this nor `metrics` is asked for without an admin listener. */
  readonly registry: () => Registry;
  /** All metrics in Prometheus' text format. */
  readonly metrics: () => Promise<string>;
  /** What else keeps it from serving, in words; undefined if nothing does. */
  readonly obstacle?: () => string | undefined;
}

/** How long DNS servers have to answer, and for how long what was found holds, in milliseconds. */
const DNS = { timeout: 2_000, keepGood: 5_000, keepBad: 1_000 };

/** However many ask for metrics, they are gathered so often, in milliseconds: with 16,000 sessions it takes 20 ms. */
const METRICS_KEEP_MS = 1_000;

/** prom-client's, version 0.0.4 of the text format. Every Prometheus reads it. */
const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/**
 * Starts a server, and before it the admin listener, if there is to be one: it tells that the server is not ready from
 * before it is until after it was.
 *
 * @param start is given the configuration with the port of the admin listener in place of 0.
 * @throws what `start` throws, and PodsocksError ERR_LISTEN; then nothing runs.
 */
export async function startWithAdmin(
  config: ServerConfig,
  log: Logger,
  start: (config: ServerConfig) => Promise<Administered>,
): Promise<RunningServer> {
  if (config.admin === undefined) return (await start(config)).server;
  const running = new ServerWithAdmin(config, log);
  await running.start(config.admin, start);
  return running;
}

class ServerWithAdmin implements RunningServer {
  admin: Endpoint | undefined;
  readonly #config: ServerConfig;
  readonly #log: Logger;
  readonly #listener: AdminListener;
  /** Of DNS. */
  readonly #obstacle: () => Promise<string | undefined>;
  #administered: Administered | undefined;
  #isDraining = false;

  constructor(config: ServerConfig, log: Logger) {
    this.#config = config;
    this.#log = log;
    const { nameservers, dnsSearch } = config;
    const probe = new DnsProbe({
      resolvConf: '/etc/resolv.conf',
      servers: nameservers ?? systemServers(),
      search: dnsSearch,
      timeout: DNS.timeout,
    });
    this.#obstacle = remembered(
      () => probe.obstacle(),
      obstacle => (obstacle === undefined ? DNS.keepGood : DNS.keepBad),
    );
    this.#listener = new AdminListener(this.#pages(), { log });
  }

  get addresses(): readonly Endpoint[] {
    return this.#administered?.server.addresses ?? [];
  }

  async start(admin: Endpoint, start: Parameters<typeof startWithAdmin>[2]): Promise<void> {
    this.admin = await this.#listener.listen(admin);
    this.#log.info(`metrics and health on http://${formatTarget(this.admin)}/`);
    try {
      const administered = await start({ ...this.#config, admin: this.admin });
      const { server } = administered;
      registerLife(administered.registry(), {
        isDraining: () => this.#isDraining,
        userCount: () => this.#userCount(administered),
        reloadFailures: () => server.reloadFailures,
        usersStale: () => server.usersStale,
      });
      this.#administered = administered;
    } catch (error) {
      await this.#listener.close();
      throw error;
    }
  }

  async drain(): Promise<void> {
    this.#isDraining = true;
    await this.#administered?.server.drain().finally(() => this.#listener.close());
  }

  async close(): Promise<void> {
    this.#isDraining = true;
    await this.#administered?.server.close().finally(() => this.#listener.close());
  }

  /** With the one whose key is the server's, where it lets somebody in. */
  #userCount({ server }: Administered): number {
    return server.userCount + knownUsers(this.#config).length - this.#config.users.length;
  }

  #pages(): Pages {
    const metrics = remembered(
      async () => this.#administered!.metrics(),
      () => METRICS_KEEP_MS,
    );
    return {
      '/': () => ({ status: 200, body: INDEX }),
      '/metrics': async () =>
        this.#administered === undefined ? STARTING : { status: 200, type: METRICS_TYPE, body: await metrics() },
      '/healthz': () => ({ status: 200, body: 'alive\n' }),
      '/readyz': async () => {
        const obstacle = await this.#whyNotReady();
        return obstacle === undefined
          ? { status: 200, body: 'ready\n' }
          : { status: 503, body: `not ready: ${obstacle}\n` };
      },
    };
  }

  async #whyNotReady(): Promise<string | undefined> {
    const own = () => {
      if (this.#isDraining) return 'draining';
      if (this.#administered === undefined) return 'starting';
      if (this.#userCount(this.#administered) === 0) return 'there are no users';
      return this.#administered.obstacle?.();
    };
    // Again after DNS was asked: a drain may have begun meanwhile.
    return own() ?? (await this.#obstacle()) ?? own();
  }
}

const STARTING: Page = { status: 503, body: 'starting\n' };

const INDEX = `ss-server of podsocks

/metrics  for Prometheus
/healthz  200 while the event loop turns
/readyz   200 while users can be served, else 503 and why
`;
