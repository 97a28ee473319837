import type { LoadedClient } from '../config.ts';
import { serverDialler } from '../servers/dial-server.ts';
import { formatUpstream } from '../servers/upstream/upstream.ts';
import { type ExaminedServer, examinedServer } from './examined-server.ts';

/** The servers of a configuration, each reached as ss-local would. */
export async function openServers({ config }: Pick<LoadedClient, 'config'>): Promise<readonly ExaminedServer[]> {
  const through = config.upstream && `the proxy ${formatUpstream(config.upstream)}`;
  const dialServer = serverDialler(config);
  return config.servers.map(server => examinedServer(server, config, dialServer, through));
}
