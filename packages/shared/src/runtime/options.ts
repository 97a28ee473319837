import { readFileSync, statSync } from 'node:fs';
import { isIP, isIPv6 } from 'node:net';
import { Command, Option } from 'commander';
import { BACKEND_CHOICES, type BackendChoice } from '../crypto/backends.ts';
import { DEFAULT_METHOD, methodNamed } from '../crypto/methods.ts';
import { PodsocksError } from './errors.ts';
import { LOG_FORMATS, LOG_LEVELS, type LogLevel } from './log.ts';

/** A value and the place it came from: `-p (--server-port)`, `SS_SERVER_PORT`, `config.json: server_port`. */
export interface Sourced<T> {
  readonly value: T;
  readonly from: string;
}

/** One setting of a command line. Its key in {@link Settings} is the long flag in camel case. */
export interface Setting<T> {
  /** As --help spells it: `-p, --server-port <port>`. Without dashes it is an argument; without it only `env` sets it. */
  readonly flags?: string;
  readonly env?: string;
  readonly describe: string;
  /** May be given several times; commas separate the values in the environment. */
  readonly repeatable?: boolean;
  readonly read: (texts: readonly string[]) => T;
}

export type Settings = Readonly<Record<string, Setting<unknown>>>;

/** What one source (flags, environment, file) says. Precedence is the order in which layers are spread. */
export type Layer<S extends Settings> = {
  readonly [K in keyof S]?: Sourced<S[K] extends Setting<infer T> ? T : never>;
};

type Spelling = Pick<Setting<unknown>, 'flags' | 'env'>;

/** A setting with one value; of several flags the last one counts, as with getopt. */
export function single<T>(spelling: Spelling, describe: string, parse: (text: string) => T): Setting<T> {
  return { ...spelling, describe, read: texts => parse(texts[0]!) };
}

/** A setting with several values. */
export function several<T>(spelling: Spelling, describe: string, parse: (text: string) => T): Setting<readonly T[]> {
  return { ...spelling, describe, repeatable: true, read: texts => texts.map(parse) };
}

function toggle(flags: string, describe: string): Setting<boolean> {
  return { flags, describe, read: () => true };
}

export const asText = (text: string): string => text;

function parseNumber(text: string, pattern: RegExp, min: number, max: number, what: string): number {
  const value = pattern.test(text) ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  throw new PodsocksError('ERR_CONFIG', `${quoted(text)} is not ${what}; give a number from ${min} to ${max}`);
}

/** A whole number from 1 up. */
export const parseCount = (text: string): number => parseNumber(text, /^\d+$/, 1, 2 ** 31 - 1, 'a count');

/** The port of a peer. */
export const parsePort = (text: string): number => parseNumber(text, /^\d+$/, 1, 0xffff, 'a port');

/** The port of a listener, where 0 asks the system for a free one. */
export const parseListenPort = (text: string): number => parseNumber(text, /^\d+$/, 0, 0xffff, 'a port');

/** More would overflow the 31 bits of a timer's milliseconds, which then fires at once. */
const MAX_SECONDS = 2_147_483;

/** Seconds on the command line, milliseconds within. */
export const parseSeconds = (text: string): number =>
  parseNumber(text, /^\d+(\.\d+)?$/, 0.001, MAX_SECONDS, 'a time in seconds') * 1000;

/** As {@link parseSeconds}, where 0 means not to wait. */
export const parseWait = (text: string): number =>
  parseNumber(text, /^\d+(\.\d+)?$/, 0, MAX_SECONDS, 'a time in seconds') * 1000;

export function oneOf<T extends string>(choices: readonly T[]): (text: string) => T {
  return text => {
    const choice = choices.find(candidate => candidate === text);
    if (choice !== undefined) return choice;
    throw new PodsocksError('ERR_CONFIG', `${quoted(text)} is not one of ${choices.join(', ')}`);
  };
}

export interface HostPort {
  readonly host: string;
  readonly port?: number;
}

/** `host`, `host:port`, `[IPv6]:port` or a bare IPv6 address, as shadowsocks-libev takes them. */
export function parseHost(text: string): HostPort {
  if (isIPv6(text)) return { host: text };
  const [, address, name, port] = /^(?:\[([^\]]+)\]|([^\s:/?#[\]@%]+))(?::(\d+))?$/.exec(text) ?? [];
  const host = address ?? name;
  if (host === undefined || (address !== undefined && !isIPv6(address))) {
    throw new PodsocksError('ERR_CONFIG', `${quoted(text)} is not a host; give a name, an IP address or host:port`);
  }
  return port === undefined ? { host } : { host, port: parseListenPort(port) };
}

/** An IP address of this machine. */
export function parseAddress(text: string): string {
  if (isIP(text)) return text;
  throw new PodsocksError('ERR_CONFIG', `${quoted(text)} is not an IP address; give one of this machine's addresses`);
}

/** For messages: short, on one line, and not at all where it looks like an ss:// URL in the wrong place. */
function quoted(text: string): string {
  return /@|:\/\//.test(text) ? 'what is given' : JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text);
}

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

/** `-p (--server-port)`, from `-p, --server-port <port>`. */
function flagName(flags: string): string {
  return flags.replace(/ [<[].*/, '').replace(/^(-.), (--.*)/, '$1 ($2)');
}

/** What the flags say; `parsed` is commander's `opts()`. */
export function flagLayer<S extends Settings>(settings: S, parsed: Readonly<Record<string, unknown>>): Layer<S> {
  return layer(settings, ({ flags }, name) => {
    const given = parsed[name];
    if (given === undefined || flags === undefined) return undefined;
    return { texts: Array.isArray(given) ? given : [String(given)], from: flagName(flags) };
  });
}

/**
 * What the environment says; an empty variable counts as unset.
 *
 * A Service named `ss-server` makes the kubelet put `SS_SERVER_PORT=tcp://10.0.0.1:8388` into every pod of its
 * namespace, after the manner of Docker links. Such a value in a port's variable was never meant for us: ignored.
 */
export function envLayer<S extends Settings>(settings: S, env: Readonly<Record<string, string | undefined>>): Layer<S> {
  return layer(settings, ({ env: name, repeatable }) => {
    const given = name && env[name];
    if (!given || (name.endsWith('_PORT') && /^(tcp|udp|sctp):\/\//.test(given))) return undefined;
    return { texts: repeatable ? given.split(',').map(part => part.trim()) : [given], from: name };
  });
}

function layer<S extends Settings>(
  settings: S,
  find: (setting: Setting<unknown>, name: string) => { texts: readonly string[]; from: string } | undefined,
): Layer<S> {
  const entries = Object.entries(settings).flatMap(([name, setting]) => {
    const found = find(setting, name);
    if (!found) return [];
    return [[name, { value: located(found.from, () => setting.read(found.texts)), from: found.from }]];
  });
  return Object.fromEntries(entries) as Layer<S>;
}

/** Runs `read` and puts the place in front of what it complains of. */
export function located<T>(from: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof PodsocksError)) throw error;
    throw new PodsocksError(error.code, `${from}: ${error.message}`);
  }
}

export type Warn = (message: string) => void;

/** Within one source: reads the password file into the password, and lets -v set the log level where nothing else does. */
export function folded<
  L extends {
    readonly password?: Sourced<string>;
    readonly passwordFile?: Sourced<string>;
    readonly verbose?: Sourced<boolean>;
    readonly logLevel?: Sourced<LogLevel>;
  },
>(layer: L, warn: Warn): L {
  const { password, passwordFile, verbose, logLevel } = layer;
  if (password && passwordFile) {
    throw new PodsocksError('ERR_USAGE', `${password.from} and ${passwordFile.from} both give the password; keep one`);
  }
  return {
    ...layer,
    ...(passwordFile && { password: readSecretFile(passwordFile, warn) }),
    ...(verbose && !logLevel && { logLevel: { value: 'debug', from: verbose.from } }),
  };
}

/** A secret from a file, without the newline that editors end it with. */
export function readSecretFile({ value: path, from }: Sourced<string>, warn: Warn): Sourced<string> {
  let text: string;
  let mode: number;
  let owner: number;
  try {
    text = readFileSync(path, 'utf8');
    ({ mode, uid: owner } = statSync(path));
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code;
    throw new PodsocksError('ERR_CONFIG', `${from}: cannot read ${path} (${reason}); check the path and its mode`);
  }
  const value = text.replace(/\r?\n$/, '');
  if (value === '') throw new PodsocksError('ERR_CONFIG', `${from}: ${path} is empty; put the password into it`);
  // In a pod that does not run as root, the group (fsGroup) is how it may read the file of root: no fault there.
  const byGroup = (mode & 0o040) !== 0 && owner === process.getuid?.();
  if (process.platform !== 'win32' && ((mode & 0o004) !== 0 || byGroup)) {
    warn(`${from}: others can read ${path}; run: chmod 600 ${path} (of a Secret volume: defaultMode: 0400)`);
  }
  return { value, from: `${from} ${path}` };
}

/**
 * The port of a host: its own (`host:port`), else `server_port`, unless a source of higher precedence gives
 * `server_port` than the one that gives the host.
 *
 * @param layers highest precedence first.
 */
export function portOf<S>(
  own: number | undefined,
  hosts: S | undefined,
  layers: readonly { readonly server?: S; readonly serverPort?: Sourced<number> }[],
): number | undefined {
  for (const { server, serverPort } of layers) {
    if (own !== undefined && server === hosts) return own;
    if (serverPort) return serverPort.value;
  }
  return own;
}

/** What both configurations have; times in milliseconds. */
export interface CommonConfig {
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

/** net.Server.listen knows `reusePort` since 22.12 and 23.1; before, it would be ignored without a word. */
function requireReusePort(from: string, nodeVersion: string): void {
  const [major = 0, minor = 0] = nodeVersion.split('.').map(Number);
  if (major > 23 || (major === 23 && minor >= 1) || (major === 22 && minor >= 12)) return;
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

/**
 * Flags of shadowsocks-libev that have no effect here. They are refused, not ignored: better not to run than to run
 * without the ACL that somebody believes in.
 */
const REFUSED_FLAGS: readonly [flags: string, why: string][] = [
  ['-u, --udp', 'UDP is not available in this version; leave it out, TCP works without it'],
  ['-U, --udp-only', 'UDP is not available in this version; leave it out to carry TCP'],
  [
    '-d, --nameserver [address]',
    "own name servers are not available in this version; leave it out to use the system's (in a pod: its dnsPolicy)",
  ],
  [
    '--acl [file]',
    'access control lists are not available in this version; leave it out, and limit the ss-server pod with a NetworkPolicy',
  ],
  ['--plugin [name]', 'plugins are not available in this version; leave it out at both ends'],
  ['--plugin-opts [options]', 'plugins are not available in this version; leave it out at both ends'],
  ['-a, --user [name]', 'it does not change its user; leave it out and start it as that user (in a pod: runAsUser)'],
  ['-f, --pid-file [file]', 'it stays in the foreground; leave it out and let systemd or Kubernetes keep it running'],
  ['-i, --interface [name]', 'it does not bind to an interface; leave it out and choose by address with -b'],
  ['--key [key]', 'raw keys are not taken; use a 2022 method, whose password (-k) is a base64 key'],
  ['--manager-address [address]', 'there is no manager; leave it out and give several users in the file'],
];

/** A commander program with these settings; hidden among them the flags that are refused by name. */
export function createProgram(
  about: { readonly name: string; readonly version: string; readonly summary: string },
  settings: Settings,
  stdout: { write(text: string): unknown },
): Command {
  const program = new Command(about.name)
    .description(about.summary)
    .helpCommand(false)
    .exitOverride()
    // Errors come back as exceptions and are printed in one place; only help and version are written here.
    .configureOutput({ writeOut: text => void stdout.write(text), outputError: () => {} });
  addSettings(program, settings);
  for (const [flags] of REFUSED_FLAGS) program.addOption(new Option(flags).hideHelp());
  program.hook('preAction', () => refuseFlags(program));
  return program
    .version(about.version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help');
}

/** Adds settings to a command: options, arguments, and a section of its help for what only the environment sets. */
export function addSettings(command: Command, settings: Settings): void {
  const unflagged: string[] = [];
  for (const { flags, env, describe, repeatable } of Object.values(settings)) {
    // Not commander's env(): that reads process.env by itself and knows nothing of service links.
    const help = env && flags ? `${describe} (env: ${env})` : describe;
    if (flags === undefined) unflagged.push(`  ${env}  ${describe}`);
    else if (!flags.startsWith('-')) command.argument(`[${flags}]`, help);
    else {
      const option = new Option(flags, help);
      // --no-delay is the name of a switch in libev; commander takes it for the negation of --delay.
      option.negate = false;
      if (repeatable) option.argParser((value: string, before: string[] = []) => [...before, value]);
      command.addOption(option);
    }
  }
  if (unflagged.length > 0) command.addHelpText('after', `\nEnvironment:\n${unflagged.join('\n')}`);
}

function refuseFlags(program: Command): void {
  for (const option of program.options.filter(candidate => candidate.hidden)) {
    if (program.getOptionValue(option.attributeName()) === undefined) continue;
    const why = REFUSED_FLAGS.find(([flags]) => flags === option.flags)![1];
    throw new PodsocksError('ERR_USAGE', `${flagName(option.flags)}: ${why}`);
  }
}
