import type { Logger } from '@podsocks/shared/runtime/log';
import type { ClientConfig } from '../config.ts';
import { ServerPlugins } from '../plugin/server-plugins.ts';
import { openPool } from './open-pool.ts';
import type { ServerPool } from './server-pool.ts';

export interface OpenServersOptions {
  /** Whether a server that is the only one is asked what it is. */
  readonly asks: boolean;
  /** Whether several are probed. */
  readonly probes: boolean;
  readonly log: Logger;
}

/** The servers, and the plugins that they are reached through: both are the caller's to close. */
export interface OpenedServers {
  readonly pool: ServerPool;
  readonly plugins: ServerPlugins;
}

/**
 * Opens the way to the servers of a configuration. The plugin of an only server is running then; of several each is started
 * when it is needed.
 *
 * @throws PodsocksError where there is no way to any; then nothing runs.
 */
export async function openServers(
  config: ClientConfig,
  { asks: askExtensions, probes, log }: OpenServersOptions,
): Promise<OpenedServers> {
  const { servers } = config;
  const plugins = new ServerPlugins(config, log);
  const { dialServer } = plugins;
  try {
    const [only] = servers;
    if (servers.length === 1 && config.document === undefined) await plugins.start(only!);
    const changed = (now: typeof servers) => plugins.keepOnly(now);
    return { plugins, pool: await openPool({ servers, config, dialServer, changed, askExtensions, probes, log }) };
  } catch (error) {
    await plugins.close();
    throw error;
  }
}
