import type { PluginConfig } from '@podsocks/shared/plugin/fields';
import { keepPlugin, type Plugin, type PluginOptions, startPlugin } from '@podsocks/shared/plugin/plugin';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import type { Logger } from '@podsocks/shared/runtime/log';
import { type DialConfig, type DialServer, type ReachServer, serverDialler } from '../servers/dial-server.ts';
import type { Server } from '../servers.ts';
import { throughPlugin } from './plugin-dial.ts';

/** The plugins of all servers that have one, each started when its server is first dialled. */
export class ServerPlugins {
  /** Without a plugin, and to a plugin. */
  readonly #dialServer: DialServer;
  readonly #dialPlugin: DialServer;
  readonly #hasUpstream: boolean;
  readonly #log: Logger;
  readonly #plugins = new Map<string, Plugin>();

  constructor(config: DialConfig, log: Logger) {
    const { upstream: _, ...direct } = config;
    this.#dialServer = serverDialler(config);
    this.#dialPlugin = serverDialler(direct);
    this.#hasUpstream = config.upstream !== undefined;
    this.#log = log;
  }

  /** The way to each server, through its plugin if it has one. */
  readonly dialServer: ReachServer = (server, options) => {
    const { plugin } = server;
    if (plugin === undefined) return this.#dialServer(server, options);
    if (this.#hasUpstream) return Promise.reject(new PodsocksError('ERR_DIAL', PAST_UPSTREAM));
    return throughPlugin(this.#dialPlugin, this.#of(server, plugin))(server, options);
  };

  /**
   * Starts the plugin of a server.
   *
   * @throws PodsocksError ERR_CONFIG or ERR_LISTEN where it does not come to listen; then it is not started again by itself.
   */
  async start(server: Server): Promise<void> {
    const { plugin } = server;
    if (plugin !== undefined) this.#plugins.set(keyOf(server), await startPlugin(this.#optionsOf(server, plugin)));
  }

  /** Ends the plugins of all other servers. */
  keepOnly(servers: readonly Server[]): void {
    const kept = new Set(servers.map(keyOf));
    for (const [key, plugin] of this.#plugins) {
      if (kept.has(key)) continue;
      this.#plugins.delete(key);
      void plugin.close();
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#plugins.values()].map(plugin => plugin.close()));
  }

  #of(server: Server, config: PluginConfig): Plugin {
    const key = keyOf(server);
    const known = this.#plugins.get(key);
    if (known !== undefined) return known;
    const plugin = keepPlugin(this.#optionsOf(server, config));
    this.#plugins.set(key, plugin);
    plugin.started.catch(() => {}); // whoever dials hears of it
    return plugin;
  }

  #optionsOf({ host, port }: Server, config: PluginConfig): PluginOptions {
    return { ...config, role: 'client', remote: { host, port }, log: this.#log };
  }
}

/** Of a list of servers; in a configuration it is refused at the start. */
const PAST_UPSTREAM =
  'a plugin connects by itself, and not by the proxy of --upstream; leave the proxy out, or take another server';

function keyOf({ host, port, plugin }: Server): string {
  return JSON.stringify([host, port, plugin?.command, plugin?.options]);
}
