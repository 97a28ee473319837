import { PodsocksError } from '../runtime/errors.ts';

/** A value and the place it came from: `-p (--server-port)`, `SS_SERVER_PORT`, `config.json: server_port`. */
export interface Sourced<T> {
  readonly value: T;
  readonly from: string;
}

/** Takes what a user should know although the program can go on. */
export type Warn = (message: string) => void;

/** One setting of a command line. Its key in {@link Settings} is the long flag in camel case. */
export interface Setting<T> {
  /** As --help spells it: `-p, --server-port <port>`. Without dashes it is an argument; without it only `env` sets it. */
  readonly flags?: string;
  readonly env?: string;
  readonly describe: string;
  /** May be given several times. */
  readonly repeatable?: boolean;
  /** How several values stand in the environment; default: with commas between them. */
  readonly split?: (text: string) => readonly string[];
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

/** A setting that is on where it is given. */
export function toggle(flags: string, describe: string): Setting<boolean> {
  return { flags, describe, read: () => true };
}

/** `-p (--server-port)`, from `-p, --server-port <port>`. */
export function flagName(flags: string): string {
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
  return layer(settings, ({ env: name, repeatable, split = byCommas }) => {
    const given = name && env[name];
    if (!given || (name.endsWith('_PORT') && /^(tcp|udp|sctp):\/\//.test(given))) return undefined;
    return { texts: repeatable ? split(given) : [given], from: name };
  });
}

const byCommas = (text: string): readonly string[] => text.split(',').map(part => part.trim());

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
