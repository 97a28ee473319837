import { type Command, CommanderError } from 'commander';
import type { DestinationStream } from 'pino';
import { PodsocksError } from './errors.ts';
import { createLogger, type LogFormat, type Logger, type LogLevel } from './log.ts';

/** The outside of a program: the process, or a test's stand-ins. */
export interface Surroundings {
  readonly stdout: { write(text: string): unknown; readonly isTTY?: boolean };
  readonly stderr: { write(text: string): unknown; readonly isTTY?: boolean };
  /** Default: stderr. */
  readonly logTo?: DestinationStream;
  /** Where signals and uncaught errors arrive. */
  readonly events: ProcessEvents;
}

export interface ProcessEvents {
  on(event: string, listener: (argument: unknown) => void): unknown;
  off(event: string, listener: (argument: unknown) => void): unknown;
}

/** What was started: a server or a client. */
export interface Running {
  /** Stop accepting, and let connections finish. */
  drain(): Promise<void>;
  /** End everything now. */
  close(): Promise<void>;
}

const SIGNALS = ['SIGTERM', 'SIGINT'] as const;
const FATAL_EVENTS = ['uncaughtException', 'unhandledRejection'] as const;

/**
 * Starts something and keeps it until the process is told to stop: the first SIGTERM or SIGINT drains it, the second
 * ends it at once. An uncaught exception or unhandled rejection is logged as fatal and ends it as well.
 *
 * @returns the exit code: 0 after a signal, 1 after a fatal error or when stopping failed.
 * @throws what `start` throws.
 */
export async function runUntilSignal(
  start: () => Promise<Running>,
  { log, events }: { log: Logger; events: ProcessEvents },
): Promise<number> {
  const { promise: ended, resolve: end } = deferred<number>();
  let signals = 0;
  let running: Running | undefined;

  const stop = () => {
    if (!running) {
      if (signals > 1) end(0); // a start that hangs must not hold up the exit
      return;
    }
    const stopping = signals === 1 ? running.drain() : running.close();
    stopping.then(
      () => end(0),
      err => {
        log.error({ err }, 'stopping failed');
        end(1);
      },
    );
  };
  const onSignal = (signal: unknown) => {
    signals++;
    log.info({ signal }, signals === 1 ? 'stopping; once more to stop at once' : 'stopping at once');
    stop();
  };
  const onFatal = (err: unknown) => {
    log.fatal({ err }, 'this should not happen; ending');
    // Whatever state it is in, it must not go on serving; nor may a close that hangs hold up the exit.
    running?.close().catch(() => {});
    end(1);
  };

  // Before the start: as process 1 of a container, a signal without a handler does nothing at all.
  for (const signal of SIGNALS) events.on(signal, onSignal);
  for (const event of FATAL_EVENTS) events.on(event, onFatal);
  try {
    const started = start();
    await Promise.race([
      started.then(instance => {
        running = instance;
      }),
      ended,
    ]);
    if (signals > 0) stop();
    return await ended;
  } finally {
    for (const signal of SIGNALS) events.off(signal, onSignal);
    for (const event of FATAL_EVENTS) events.off(event, onFatal);
  }
}

/** What a configuration says of the log, and what there is to warn of before anything starts. */
export interface Preamble {
  readonly logLevel: LogLevel;
  /** Default: pretty on a terminal, else JSON. */
  readonly logFormat?: LogFormat;
  readonly warnings: readonly string[];
}

/** Makes the logger, logs the warnings, and runs until a signal; returns the exit code. */
export function launch(
  name: string,
  { logLevel: level, logFormat, warnings }: Preamble,
  { stderr, logTo, events }: Surroundings,
  start: (log: Logger) => Promise<Running>,
): Promise<number> {
  const format = logFormat ?? (stderr.isTTY ? 'pretty' : 'json');
  const log = createLogger({ level, format, name, ...(logTo && { destination: logTo }) });
  for (const warning of warnings) log.warn(warning);
  return runUntilSignal(() => start(log), { log, events });
}

/** Prints the warnings where there is no log: for a command that prints something and ends. */
export function printWarnings(name: string, { warnings }: Preamble, { stderr }: Surroundings): void {
  for (const warning of warnings) stderr.write(`${name}: warning: ${warning}\n`);
}

/** 2 for what the user can mend in the command line or the configuration, else 1. */
export function exitCodeOf(error: unknown): number {
  return error instanceof PodsocksError && (error.code === 'ERR_USAGE' || error.code === 'ERR_CONFIG') ? 2 : 1;
}

/** Prints `ss-server: message` as one line; the only place that does. Returns the exit code. */
export function reportError(program: string, error: unknown, stderr: Surroundings['stderr']): number {
  // Anything but a PodsocksError is a fault of the program, where the stack is what helps.
  const text = error instanceof PodsocksError ? error.message : error instanceof Error ? error.stack : String(error);
  stderr.write(`${program}: ${error instanceof PodsocksError ? text?.replace(/\s*[\r\n]+\s*/g, ' ') : text}\n`);
  return exitCodeOf(error);
}

/**
 * Parses `argv` (without node and script) and runs the action that it asks for; help and version are printed.
 *
 * @returns the exit code: 0 when the action was done, or that of the error, which is printed.
 */
export async function runProgram(program: Command, argv: readonly string[], { stderr }: Surroundings): Promise<number> {
  try {
    await program.parseAsync(argv, { from: 'user' });
    return 0;
  } catch (error) {
    if (!(error instanceof CommanderError)) return reportError(program.name(), error, stderr);
    return error.exitCode === 0 ? 0 : reportError(program.name(), usageError(program, error), stderr);
  }
}

/** commander's complaint on one line, and without the value that it quotes of an unknown option: `--passwrod=secret`. */
function usageError(program: Command, { message }: CommanderError): PodsocksError {
  const [, valued] = /^error: unknown option '(--[^'= ]+)=/.exec(message) ?? [];
  const takesNone = valued !== undefined && program.options.some(option => option.long === valued);
  const complaint = takesNone
    ? `${valued} takes no value`
    : message
        .replace(/^error: /, '')
        .replace(/'(--[^'= ]*|-[^'-]).*'/s, '$1')
        .replace('\n(Did', ' (did');
  return new PodsocksError('ERR_USAGE', `${complaint.replace(/\.$/, '')}; see: ${program.name()} --help`);
}

function deferred<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve!: (value: T) => void;
  const promise = new Promise<T>(settle => {
    resolve = settle;
  });
  return { promise, resolve };
}
