import type { Logger } from '@podsocks/shared/runtime/log';
import { type Administered, startWithAdmin } from './admin/with-admin.ts';
import { openAudit } from './audit/open-audit.ts';
import type { ServerConfig } from './config.ts';
import { limitsOf } from './limits.ts';
import { behindPlugin, type ServerPlugins, startPlugins } from './plugin/server-plugins.ts';
import { prepareServer } from './prepare-server.ts';
import type { PreparedServer } from './prepared-server.ts';
import { logStart, type RunningServer } from './running-server.ts';
import { UsersWatch } from './users/users-watch.ts';

export type { RunningServer };

/** @throws PodsocksError ERR_LISTEN or ERR_CONFIG; then nothing runs. */
export function startServer(config: ServerConfig, { log }: { log: Logger }): Promise<RunningServer> {
  return startWithAdmin(config, log, async bound => {
    const server = await prepared(behindPlugin(bound), log);
    const plugins = await startPlugins(bound, server.addresses, log).catch(error =>
      server.close().then(() => {
        throw error;
      }),
    );
    logStart(log, bound, limitsOf(bound), plugins.addresses);
    return administered(server, plugins, watchUsers(server, bound, log));
  });
}

async function prepared(config: ServerConfig, log: Logger): Promise<PreparedServer> {
  const audit = config.audit === undefined ? undefined : openAudit(config.audit, log);
  try {
    const server = prepareServer(config, { log, ...(audit && { audit }) });
    await server.listen();
    return server;
  } catch (error) {
    await audit?.close();
    throw error;
  }
}

/** Follows the users where they come and go. */
function watchUsers(server: PreparedServer, config: ServerConfig, log: Logger): UsersWatch | undefined {
  const { usersPath: path, method, key, users } = config;
  if (path === undefined) return undefined;
  return new UsersWatch({ path, method, key, users, log, apply: others => server.replaceUsers(others) });
}

function administered(server: PreparedServer, plugins: ServerPlugins, watch: UsersWatch | undefined): Administered {
  // What is still on its way goes through the plugin; who comes now is turned away behind it.
  const ended = () => plugins.close().finally(() => watch?.close());
  return {
    server: {
      addresses: plugins.addresses,
      get userCount() {
        return server.userCount;
      },
      get reloadFailures() {
        return watch?.failures ?? 0;
      },
      get usersStale() {
        return watch?.isStale ?? false;
      },
      drain: () => server.drain().finally(ended),
      close: () => server.close().finally(ended),
    },
    registry: () => server.metrics!,
    metrics: () => server.metrics!.metrics(),
    obstacle: () => plugins.obstacle,
  };
}
