import { type DestinationStream, destination, type Logger, pino, stdSerializers, stdTimeFunctions } from 'pino';
import pretty from 'pino-pretty';

export type { Logger };

export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export const LOG_FORMATS = ['json', 'pretty'] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];

export interface LogOptions {
  readonly level: LogLevel;
  readonly format: LogFormat;
  /** The program, in every line. */
  readonly name: string;
  /** Default: stderr. Stdout stays free for what a command prints. */
  readonly destination?: DestinationStream;
}

const SECRET_FIELDS = ['password', 'key', 'keys', 'identityKeys', 'psk', 'secret', 'secrets', 'uri', 'url'];

/** pino's wildcard stands for one level; a configuration inside an error inside a field is three levels down. */
const SECRET_PATHS = ['', '*.', '*.*.', '*.*.*.'].flatMap(above => SECRET_FIELDS.map(field => above + field));

/**
 * The logger of a program. Secrets are redacted in fields, not in messages: messages must not hold any.
 *
 * Writing is synchronous, so that the line before an exit is not lost; nothing is logged per packet.
 */
export function createLogger({ level, format, name, destination: given }: LogOptions): Logger {
  const raw = given ?? destination({ fd: 2, sync: true });
  return pino(
    {
      level,
      name,
      base: {},
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: label => ({ level: label }) },
      serializers: { err: stdSerializers.err },
      redact: { paths: SECRET_PATHS, censor: '[redacted]' },
    },
    format === 'pretty' ? prettified(raw, given === undefined) : raw,
  );
}

/** pino-pretty as a function, not as a transport: no worker thread, and no stream that an exit would cut off. */
function prettified(raw: DestinationStream, colorize: boolean): DestinationStream {
  const prettify = pretty.prettyFactory({
    colorize: colorize && pretty.isColorSupported,
    translateTime: 'SYS:HH:MM:ss.l',
    ignore: 'name',
  });
  return { write: line => raw.write(prettify(line)) };
}
