import type { Plugin } from '@podsocks/shared/plugin/plugin';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import type { DialServer } from '../servers/dial-server.ts';

/**
 * The way to a server through its plugin, which connects to it. That a connection comes about says nothing of the server:
 * plugins accept before they connect, or without.
 *
 * @param dial connects without a proxy.
 */
export function throughPlugin(dial: DialServer, plugin: Pick<Plugin, 'name' | 'started' | 'endpoint'>): DialServer {
  return async (_, options) => {
    // Its first start takes a moment. What comes while it is started again fails, as it would a moment later anyway.
    await plugin.started.catch(() => {});
    const endpoint = plugin.endpoint();
    try {
      return await dial(endpoint, options);
    } catch (error) {
      if (!(error instanceof PodsocksError) || error.code === 'ERR_CLOSED') throw error;
      throw new PodsocksError(error.code, `the plugin ${plugin.name} does not accept: ${error.message}`, {
        cause: error.cause,
      });
    }
  };
}
