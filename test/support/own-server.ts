import type { ServerConfig } from '@podsocks/server/config';
import { type RunningServer, startServer } from '@podsocks/server/server';
import { startWorkers } from '@podsocks/server/workers/primary';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import type { Logger } from '@podsocks/shared/runtime/log';

/** How many processes ss-server has in tests that do not say it themselves: `SS_WORKERS=2 npm test`. */
export const WORKERS = Number(process.env.SS_WORKERS ?? 1);

/** A port that the system has chosen for TCP may be another program's for UDP, of which these tests open many. */
const TRIES = 5;

/** Starts our ss-server from within a test, as its command line does. */
export async function startOwnServer(config: ServerConfig, deps: { readonly log: Logger }): Promise<RunningServer> {
  const start = () => (config.workers > 1 ? startWorkers(config, deps) : startServer(config, deps));
  const isChosen = config.listen.every(({ port }) => port === 0);
  for (let left = TRIES; ; left--) {
    try {
      return await start();
    } catch (error) {
      const isTaken = error instanceof PodsocksError && error.code === 'ERR_LISTEN';
      if (!isTaken || !isChosen || left === 0) throw error;
    }
  }
}
