import type { PluginsOfList } from '../plugin/server-plugin.ts';
import type { Server } from '../servers.ts';
import type { DocumentSource } from './document-url.ts';
import { ServerDocument } from './server-document.ts';
import { type PoolConfig, ServerPool, type ServerPoolOptions } from './server-pool.ts';

export interface OpenPoolOptions extends Omit<ServerPoolOptions, 'mayChange' | 'closed' | 'config'> {
  readonly config: PoolConfig & { readonly document?: DocumentSource; readonly listPlugins?: PluginsOfList };
  /** Is told of all servers when the list has changed. */
  readonly changed?: (servers: readonly Server[]) => void;
}

/**
 * The pool of the servers of a configuration, and of a list of servers beside them, if there is one: it is watched for as long
 * as the pool is open.
 *
 * @throws PodsocksError where the list cannot be had and there are no other servers, or where no backend can do a method.
 */
export async function openPool(options: OpenPoolOptions): Promise<ServerPool> {
  const { servers, config, log } = options;
  const { document: source, upstream, listPlugins: plugins } = config;
  if (source === undefined) return new ServerPool(options);
  const document = new ServerDocument({ source, upstream, plugins, log });
  try {
    const listed = await document.load().catch((error: Error) => {
      if (servers.length === 0) throw error;
      log.warn(`${error.message}; going on with the other servers`);
      return [];
    });
    const all = [...servers, ...listed];
    const pool = new ServerPool({ ...options, servers: all, mayChange: true, closed: () => document.close() });
    document.watch(listedNow => {
      const now = [...servers, ...listedNow];
      pool.replace(now);
      options.changed?.(now);
    });
    pool.onUnreachable(() => document.refresh());
    return pool;
  } catch (error) {
    document.close();
    throw error;
  }
}
