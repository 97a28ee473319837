import { createLogger, type Logger, type LogLevel } from '@podsocks/shared/runtime/log';

/** The logger of a worker. What it would write goes to the primary, line by line, redacted and serialised. */
export function workerLog(level: LogLevel, send: (line: string) => void): Logger {
  return createLogger({ level, format: 'json', name: 'worker', destination: { write: send } });
}

/** Takes the lines of a worker into the primary's log, with the worker's number. */
export function relayLog(log: Logger, worker: number): (line: string) => void {
  const own = log.child({ worker }, { serializers: { err: err => err } }); // errors have been serialised
  return line => {
    const { level, time, name, msg, ...fields } = JSON.parse(line);
    own[level as LogLevel](fields, msg);
  };
}
