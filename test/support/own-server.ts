import type { ServerConfig } from '@podsocks/server/config';
import { type RunningServer, startServer } from '@podsocks/server/server';
import { startWorkers } from '@podsocks/server/workers/primary';
import type { Logger } from '@podsocks/shared/runtime/log';

/** How many processes ss-server has in tests that do not say it themselves: `SS_WORKERS=2 npm test`. */
export const WORKERS = Number(process.env.SS_WORKERS ?? 1);

/** Starts our ss-server from within a test, as its command line does. */
export function startOwnServer(config: ServerConfig, deps: { readonly log: Logger }): Promise<RunningServer> {
  return config.workers > 1 ? startWorkers(config, deps) : startServer(config, deps);
}
