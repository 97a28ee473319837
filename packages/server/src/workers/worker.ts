import type { Socket } from 'node:net';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import type { Logger } from '@podsocks/shared/runtime/log';
import { prepareServer } from '../prepare-server.ts';
import type { PreparedServer } from '../prepared-server.ts';
import type { ToPrimary, ToWorker } from './messages.ts';
import { SharedReplays } from './shared-replays.ts';
import { workerLog } from './worker-log.ts';

// The program of a worker. It serves what the primary hands it, until the primary says otherwise or has gone.

process.title = 'ss-server: worker';

let server: PreparedServer | undefined;
let log: Logger | undefined;
const replays = new SharedReplays(salts => send({ type: 'salts', salts }));

process.on('message', (message: ToWorker, socket: Socket | undefined) => {
  switch (message.type) {
    case 'start':
      void start(message);
      break;
    case 'connection':
      if (socket) server!.take(socket);
      break;
    case 'verdicts':
      replays.answer(message.verdicts);
      break;
    case 'users':
      server?.replaceUsers(message.users);
      break;
    case 'measure':
      void measure();
      break;
    case 'drain':
      void endAfter(server?.drain());
      break;
    case 'close':
      void endAfter(server?.close());
  }
});

// A terminal sends its signals to all processes, and the primary says what to do.
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, () => {});

process.once('disconnect', () => {
  void endAfter(server?.close());
});

let failed = false;
for (const event of ['uncaughtException', 'unhandledRejection']) {
  process.on(event, err => {
    if (failed) process.exit(1); // ending has failed as well
    failed = true;
    log?.fatal({ err }, 'this should not happen; ending this worker');
    send({ type: 'failing' });
    process.exitCode = 1;
    void endAfter(server?.close());
  });
}

async function start({ worker, config, logLevel }: Extract<ToWorker, { type: 'start' }>): Promise<void> {
  process.title = `ss-server: worker ${worker}`;
  log = workerLog(logLevel, line => send({ type: 'log', line }));
  try {
    const audit = { write: (line: string) => send({ type: 'audit', line }), close: async () => {} };
    server = prepareServer(config, { log, replays, ...(config.audit !== undefined && { audit }) });
    await server.listen({ accepted: !config.reusePort });
    send({ type: 'ready', addresses: server.addresses });
  } catch (error) {
    const { code, message } =
      error instanceof PodsocksError ? error : { code: undefined, message: String((error as Error).stack) };
    send({ type: 'failed', code, message });
    process.exitCode = 1;
    void endAfter(server?.close());
  }
}

async function measure(): Promise<void> {
  const families = await server?.metrics?.getMetricsAsJSON();
  if (families) send({ type: 'measures', families });
}

function send(message: ToPrimary): void {
  process.send?.(message, undefined, undefined, () => {}); // if the primary has gone, 'disconnect' tells
}

/** Lets go of the primary, so that the process ends when its connections and what it has to say are gone. */
async function endAfter(stopped: Promise<void> | undefined): Promise<void> {
  await stopped;
  process.channel?.unref();
  setTimeout(() => process.exit(), 1000).unref();
}
