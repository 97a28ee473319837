import { BACKEND_CHOICES, type BackendChoice } from '../crypto/backends.ts';
import { DEFAULT_METHOD, methodNamed } from '../crypto/methods.ts';
import { PodsocksError } from '../runtime/errors.ts';
import { LOG_FORMATS, LOG_LEVELS, type LogLevel } from '../runtime/log.ts';
import { hasReusePort } from '../runtime/node-features.ts';
import { DEFAULT_MODE, MODES, type Mode } from './mode.ts';
import { readSecretFile } from './secret-file.ts';
import { type Layer, type Setting, type Settings, type Sourced, single, toggle, type Warn } from './settings.ts';
import { asText, oneOf, parseCount, parseSeconds, parseWait } from './values.ts';

/** The settings that mean the same in both programs. */
export const commonSettings = {
  password: single(
    { flags: '-k, --password <password>', env: 'SS_PASSWORD' },
    'password, or base64 key of a 2022 method; other users may see it in the process list',
    asText,
  ),
  passwordFile: single(
    { flags: '--password-file <file>', env: 'SS_PASSWORD_FILE' },
    'file that holds the password',
    asText,
  ),
  method: single(
    { flags: '-m, --method <name>', env: 'SS_METHOD' },
    `method (default: ${DEFAULT_METHOD})`,
    methodNamed,
  ),
  timeout: single(
    { flags: '-t, --timeout <seconds>', env: 'SS_TIMEOUT' },
    'end connections that are idle for so long (default: 300)',
    parseSeconds,
  ),
  udp: toggle('-u, --udp', 'carry TCP and UDP; the same as --mode tcp_and_udp'),
  udpOnly: toggle('-U, --udp-only', 'carry UDP only; the same as --mode udp_only'),
  mode: single(
    { flags: '--mode <mode>', env: 'SS_MODE' },
    `${MODES.join(', ')} (default: ${DEFAULT_MODE})`,
    oneOf(MODES),
  ),
  config: single({ flags: '-c, --config <file>', env: 'SS_CONFIG' }, 'JSON file with the same settings', asText),
  nofile: single({ flags: '-n, --nofile <number>' }, 'open files to make room for', parseCount),
  maxConnections: single(
    { flags: '--max-connections <number>', env: 'SS_MAX_CONNECTIONS' },
    'connections at a time (default: as many as open files allow)',
    parseCount,
  ),
  ipv6First: toggle('-6, --ipv6-first', 'of the addresses of a name, try IPv6 first'),
  noDelay: toggle('--no-delay', 'set TCP_NODELAY (the default; "no_delay": false in the file turns it off)'),
  reusePort: toggle('--reuse-port', 'let several processes listen on the port (Node.js 22.12 or later)'),
  fastOpen: toggle('--fast-open', 'accepted and ignored: Node.js has no TCP Fast Open'),
  mptcp: toggle('--mptcp', 'accepted and ignored: Node.js has no Multipath TCP'),
  cryptoBackend: single(
    { flags: '--crypto-backend <name>', env: 'SS_CRYPTO_BACKEND' },
    `${BACKEND_CHOICES.join(', ')} (default: auto, the fastest)`,
    oneOf(BACKEND_CHOICES),
  ),
  logLevel: single(
    { flags: '--log-level <level>', env: 'SS_LOG_LEVEL' },
    `${LOG_LEVELS.join(', ')} (default: info)`,
    oneOf(LOG_LEVELS),
  ),
  logFormat: single(
    { flags: '--log-format <format>', env: 'SS_LOG_FORMAT' },
    `${LOG_FORMATS.join(', ')} (default: pretty on a terminal, else json)`,
    oneOf(LOG_FORMATS),
  ),
  verbose: toggle('-v, --verbose', 'the same as --log-level debug'),
  check: toggle('--check', 'check the configuration, print what would run, and exit'),
} satisfies Settings;

/** How long `--drain-timeout` lets connections finish; the default differs between the programs. */
export function drainTimeoutSetting(defaultTimeout: number): Setting<number> {
  return single(
    { flags: '--drain-timeout <seconds>', env: 'SS_DRAIN_TIMEOUT' },
    `time for connections to finish after SIGTERM (default: ${defaultTimeout / 1000})`,
    parseWait,
  );
}

/**
 * Within one source: reads the password file into the password, lets -v set the log level where nothing else does, and -u
 * and -U the mode.
 */
export function folded<
  L extends {
    readonly password?: Sourced<string>;
    readonly passwordFile?: Sourced<string>;
    readonly verbose?: Sourced<boolean>;
    readonly logLevel?: Sourced<LogLevel>;
    readonly udp?: Sourced<boolean>;
    readonly udpOnly?: Sourced<boolean>;
    readonly mode?: Sourced<Mode>;
  },
>(layer: L, warn: Warn): L {
  const { password, passwordFile, verbose, logLevel } = layer;
  if (password && passwordFile) {
    throw new PodsocksError('ERR_USAGE', `${password.from} and ${passwordFile.from} both give the password; keep one`);
  }
  const mode = modeOf(layer);
  return {
    ...layer,
    ...(mode && { mode }),
    ...(passwordFile && { password: readSecretFile(passwordFile, warn) }),
    ...(verbose && !logLevel && { logLevel: { value: 'debug', from: verbose.from } }),
  };
}

function modeOf({
  udp,
  udpOnly,
  mode,
}: {
  readonly udp?: Sourced<boolean>;
  readonly udpOnly?: Sourced<boolean>;
  readonly mode?: Sourced<Mode>;
}): Sourced<Mode> | undefined {
  const short: Sourced<Mode> | undefined =
    (udpOnly && { value: 'udp_only', from: udpOnly.from }) ?? (udp && { value: 'tcp_and_udp', from: udp.from });
  if (short && mode && short.value !== mode.value) {
    throw new PodsocksError('ERR_USAGE', `${short.from} and ${mode.from} contradict each other; keep one`);
  }
  return short ?? mode;
}

/** What both configurations have; times in milliseconds. */
export interface CommonConfig {
  readonly mode: Mode;
  readonly timeout: number;
  readonly connectTimeout: number;
  readonly handshakeTimeout: number;
  readonly drainTimeout: number;
  readonly maxConnections?: number;
  readonly nofile?: number;
  readonly ipv6First: boolean;
  readonly noDelay: boolean;
  readonly reusePort: boolean;
  readonly cryptoBackend: BackendChoice;
}

/** The layers of {@link commonSettings} and the file, spread over each other. */
type CommonGiven = Omit<Layer<typeof commonSettings>, 'method'> & {
  readonly drainTimeout?: Sourced<number>;
  readonly connectTimeout?: Sourced<number>;
  readonly handshakeTimeout?: Sourced<number>;
};

/** The common part of a configuration, with defaults for what was not given. */
export function commonConfig(
  given: CommonGiven,
  defaults: { readonly handshakeTimeout: number; readonly drainTimeout: number },
  { warn, nodeVersion }: { warn: Warn; nodeVersion: string },
): CommonConfig {
  for (const [wish, what] of [[given.fastOpen, 'TCP Fast Open'] as const, [given.mptcp, 'Multipath TCP'] as const]) {
    if (wish?.value) warn(`${wish.from}: Node.js has no ${what}; carrying on without`);
  }
  if (given.reusePort?.value) requireReusePort(given.reusePort.from, nodeVersion);
  return {
    mode: given.mode?.value ?? DEFAULT_MODE,
    timeout: given.timeout?.value ?? 300_000,
    connectTimeout: given.connectTimeout?.value ?? 10_000,
    handshakeTimeout: given.handshakeTimeout?.value ?? defaults.handshakeTimeout,
    drainTimeout: given.drainTimeout?.value ?? defaults.drainTimeout,
    ...(given.maxConnections && { maxConnections: given.maxConnections.value }),
    ...(given.nofile && { nofile: given.nofile.value }),
    ipv6First: given.ipv6First?.value ?? false,
    noDelay: given.noDelay?.value ?? true,
    reusePort: given.reusePort?.value ?? false,
    cryptoBackend: given.cryptoBackend?.value ?? 'auto',
  };
}

function requireReusePort(from: string, nodeVersion: string): void {
  if (hasReusePort(nodeVersion)) return;
  throw new PodsocksError(
    'ERR_CONFIG',
    `${from}: needs Node.js 22.12 or later, this is ${nodeVersion}; update Node.js or leave it out`,
  );
}

/** What --check prints: these rows, then those that both programs have. */
export function summary(
  name: string,
  own: readonly (readonly [label: string, value: string])[],
  config: CommonConfig,
): string {
  const seconds = (time: number) => `${time / 1000} s`;
  const rows = [
    ...own,
    ['mode', config.mode],
    ['idle timeout', seconds(config.timeout)],
    ['connect timeout', seconds(config.connectTimeout)],
    ['handshake timeout', seconds(config.handshakeTimeout)],
    ['drain timeout', seconds(config.drainTimeout)],
    ['connections', `${config.maxConnections ?? 'as many as open files allow'}`],
    ['open files', `${config.nofile ?? 'as many as the system allows'}`],
    ['address order', config.ipv6First ? 'IPv6 first' : 'as the resolver gives them'],
    ['TCP_NODELAY', config.noDelay ? 'on' : 'off'],
    ['reuse port', config.reusePort ? 'on' : 'off'],
    ['crypto backend', config.cryptoBackend],
  ] as const;
  return [
    `${name}: the configuration is valid`,
    ...rows.map(([label, value]) => `  ${label.padEnd(18)} ${value}`),
    '',
  ].join('\n');
}
