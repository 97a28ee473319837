import { createLogger } from '@podsocks/shared/runtime/log';
import type { LoadedClient } from '../config.ts';
import { serverDialler } from '../servers/dial-server.ts';
import { ServerDocument } from '../servers/server-document.ts';
import { formatUpstream } from '../servers/upstream/upstream.ts';
import { type ExaminedServer, examinedServer } from './examined-server.ts';

/**
 * The servers of a configuration, each reached as ss-local would.
 *
 * @throws PodsocksError where a list of servers cannot be had.
 */
export async function openServers({ config }: Pick<LoadedClient, 'config'>): Promise<readonly ExaminedServer[]> {
  const through = config.upstream && `the proxy ${formatUpstream(config.upstream)}`;
  const dialServer = serverDialler(config);
  const servers = [...config.servers];
  if (config.document !== undefined) {
    const log = createLogger({ level: 'silent', format: 'json', name: 'ss-local' });
    const document = new ServerDocument({ source: config.document, upstream: config.upstream, log });
    servers.push(...(await document.load()));
    document.close();
  }
  return servers.map(server => examinedServer(server, config, dialServer, through));
}
