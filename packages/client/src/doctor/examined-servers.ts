import { createLogger } from '@podsocks/shared/runtime/log';
import type { LoadedClient } from '../config.ts';
import { ServerPlugins } from '../plugin/server-plugins.ts';
import { ServerDocument } from '../servers/server-document.ts';
import { formatUpstream } from '../servers/upstream/upstream.ts';
import type { Server } from '../servers.ts';
import { type ExaminedServer, examinedServer } from './examined-server.ts';

/** The servers of a configuration, each reached as ss-local would. */
export interface OpenedExamined {
  readonly servers: readonly ExaminedServer[];
  /** Ends what they are reached through. */
  close(): Promise<void>;
}

/** @throws PodsocksError where a list of servers cannot be had. */
export async function openExamined({ config }: Pick<LoadedClient, 'config'>): Promise<OpenedExamined> {
  const log = createLogger({ level: 'silent', format: 'json', name: 'ss-local' });
  const running = new ServerPlugins(config, log);
  const servers = [...config.servers];
  if (config.document !== undefined) {
    const { document: source, upstream, listPlugins: plugins } = config;
    const document = new ServerDocument({ source, upstream, plugins, log });
    servers.push(...(await document.load()));
    document.close();
  }
  const proxy = config.upstream && `the proxy ${formatUpstream(config.upstream)}`;
  const through = ({ plugin }: Server) => (plugin === undefined ? proxy : `the plugin ${plugin.command}`);
  return {
    servers: servers.map(server => examinedServer(server, config, running.dialServer, through(server))),
    close: () => running.close(),
  };
}
