import type { Endpoint } from '@podsocks/shared/net/listener';
import { type Plugin, startPlugin } from '@podsocks/shared/plugin/plugin';
import type { Logger } from '@podsocks/shared/runtime/log';
import type { ServerConfig } from '../config.ts';

/** The configuration of what stands behind a plugin, if there is one: TCP comes from loopback, UDP from clients as before. */
export function behindPlugin(config: ServerConfig): ServerConfig {
  const { plugin, ...others } = config;
  if (plugin === undefined) return config;
  return { ...others, listen: [{ host: '127.0.0.1', port: 0 }], publicListen: config.listen };
}

/** What clients connect to: a plugin for each address to listen on, or none, and then the server itself. */
export class ServerPlugins {
  readonly addresses: readonly Endpoint[];
  readonly #plugins: readonly Plugin[];

  /** @param addresses where clients connect to. */
  constructor(plugins: readonly Plugin[], addresses: readonly Endpoint[]) {
    this.#plugins = plugins;
    this.addresses = addresses;
  }

  /** Why clients do not get through; undefined if they do. */
  get obstacle(): string | undefined {
    return this.#plugins.find(({ obstacle }) => obstacle !== undefined)?.obstacle;
  }

  async close(): Promise<void> {
    await Promise.all(this.#plugins.map(plugin => plugin.close()));
  }
}

/**
 * Starts the plugins, if there are to be any.
 *
 * @param addresses where the server listens.
 * @throws PodsocksError ERR_CONFIG or ERR_LISTEN; then none runs.
 */
export async function startPlugins(
  { plugin, listen }: ServerConfig,
  addresses: readonly Endpoint[],
  log: Logger,
): Promise<ServerPlugins> {
  if (plugin === undefined) return new ServerPlugins([], addresses);
  const options = { ...plugin, role: 'server', local: addresses[0]!, log } as const;
  const starts = await Promise.allSettled(listen.map(remote => startPlugin({ ...options, remote })));
  const started = new ServerPlugins(
    starts.flatMap(start => (start.status === 'fulfilled' ? [start.value] : [])),
    listen,
  );
  const failed = starts.find(start => start.status === 'rejected');
  if (failed === undefined) return started;
  await started.close();
  throw failed.reason;
}
