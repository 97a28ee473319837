import { type ClientKeys, clientKeys } from '@podsocks/shared/crypto/key-derivation';
import { DEFAULT_METHOD, type Method, methodNamed } from '@podsocks/shared/crypto/methods';
import { PLUGIN_SETTINGS, type PluginConfig, pluginFields } from '@podsocks/shared/plugin/fields';
import { parsePluginParameter } from '@podsocks/shared/plugin/plugin-options';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import type { commonSettings } from '@podsocks/shared/settings/common-config';
import type { FileLayer } from '@podsocks/shared/settings/config-file';
import { commonFields, type Fields, number, records, secret, text, yesOrNo } from '@podsocks/shared/settings/fields';
import type { Mode } from '@podsocks/shared/settings/mode';
import {
  type Layer,
  located,
  portOf,
  type Setting,
  type Settings,
  type Sourced,
  several,
  single,
} from '@podsocks/shared/settings/settings';
import { asText, parseHost, parsePort } from '@podsocks/shared/settings/values';
import { parseSsUrl, type SsUrl } from '@podsocks/shared/wire/ss-url';
import { type GivenPlugin, type OwnPlugin, serverPlugin } from './plugin/server-plugin.ts';
import { POOL_SETTINGS, poolFields } from './servers/fields.ts';
import { serverName } from './servers/server-name.ts';

/** A server that ss-local connects to. */
export interface Server {
  readonly host: string;
  readonly port: number;
  readonly method: Method;
  readonly keys: ClientKeys;
  readonly name?: string;
  /** What it carries, where its entry says so. */
  readonly mode?: Sourced<Mode>;
  /** What TCP to it goes through. */
  readonly plugin?: PluginConfig;
}

const DEFAULT_PORT = 8388;

/** What of the command line says which servers, beside the common -m and -k. */
export const serverSettings = {
  url: {
    flags: 'ss://URL',
    env: 'SS_URL',
    describe: 'the server, or several; stands for -s, -p, -m and -k',
    repeatable: true,
    split: splitUrls,
    read: texts => texts.flatMap(splitUrls).map(parseSsUrl),
  } satisfies Setting<readonly SsUrl[]>,
  server: several({ flags: '-s, --server <host>', env: 'SS_SERVER' }, 'server, may be repeated', parseHost),
  serverPort: single(
    { flags: '-p, --server-port <port>', env: 'SS_SERVER_PORT' },
    `port of the server (default: ${DEFAULT_PORT})`,
    parsePort,
  ),
  ...POOL_SETTINGS,
  ...PLUGIN_SETTINGS,
} satisfies Settings;

/** There may be commas within. */
function splitUrls(text: string): string[] {
  return text.split(/,\s*(?=ss:\/\/)/i).map(url => url.trim());
}

/** SIP008 says server, server_port and remarks; the other names are those of shadowsocks-rust. */
export const ENTRY_FIELDS = {
  server: text(parseHost).optional(),
  address: text(parseHost).optional(),
  server_port: number(parsePort).optional(),
  port: number(parsePort).optional(),
  method: text(methodNamed).optional(),
  password: secret.optional(),
  remarks: text(asText).optional(),
  name: text(asText).optional(),
  tag: text(asText).optional(),
  mode: commonFields.mode.optional(),
  disabled: yesOrNo.optional(),
  plugin: pluginFields.plugin.optional(),
  plugin_opts: pluginFields.plugin_opts.optional(),
} satisfies Fields;

export const serverListFields = { servers: records(ENTRY_FIELDS) } satisfies Fields;

/** What of the file says which servers, beside the common "server", "method" and "password". */
export const serverFields = {
  server_port: number(parsePort),
  ...serverListFields,
  ...poolFields,
  ...pluginFields,
} satisfies Fields;

type Given = Layer<typeof serverSettings & Pick<typeof commonSettings, 'method' | 'password'>>;
type File = FileLayer<typeof serverFields & Pick<typeof commonFields, 'server' | 'method' | 'password'>>;

/** Lets a URL give, within its source, what -s, -p, -m and -k would; of several each keeps its own. */
export function withUrl<L extends Given>(layer: L): L {
  const { url, ...others } = layer;
  if (!url) return layer;
  const { value: urls, from } = url;
  if (urls.length === 0) return others as unknown as L;
  const rival = layer.server ?? layer.serverPort ?? layer.method ?? layer.password;
  if (rival) {
    throw new PodsocksError('ERR_USAGE', `${from} and ${rival.from} both say how to reach the server; leave one out`);
  }
  const [first] = urls;
  return {
    ...layer,
    server: { value: urls.map(({ host, port }) => ({ host, port })), from },
    ...(urls.length === 1 && {
      method: { value: methodNamed(first!.method), from },
      password: { value: first!.password, from },
    }),
  };
}

/**
 * A server named by flag or environment replaces the list of the file; what else they say holds for the whole list.
 *
 * @param env of this process, for plugins.
 * @returns none only where a list of servers is to be had elsewhere.
 */
export function serversOf(flags: Given, environment: Given, file: File, env: Environment = {}): readonly Server[] {
  const given = { ...environment, ...flags };
  if (file.servers && !given.server) return listedServers(file.servers, { given, file, env });
  const { server, url, method, password, serversUrl, serversFile } = { ...file, ...given };
  if (!server) {
    if (serversUrl || serversFile) return [];
    throw wrong('no server; give an ss:// URL, -s (--server), SS_URL, or "server" or "servers" in the file');
  }
  const urls = url && url.from === server.from ? url.value : [];
  // Flags are above a URL of the environment only.
  const above = flags.url || urls.length < 2 ? {} : flags;
  return server.value.map(({ host, port }, i) => {
    const own = urls.length < 2 ? undefined : urls[i];
    return serverOf({
      host,
      port: portOf(port, server, [flags, environment, file]),
      method: own ? (above.method ?? { value: methodNamed(own.method), from: server.from }) : method,
      password: own ? (above.password ?? { value: own.password, from: server.from }) : password,
      name: urls[i]?.tag,
      plugin: serverPlugin({ above: given, own: pluginOfUrl(urls[i], server.from), below: file }, env),
      from: server.from,
    });
  });
}

function pluginOfUrl(url: SsUrl | undefined, from: string): OwnPlugin {
  if (url?.plugin === undefined) return { isForeign: true };
  const { command, options } = parsePluginParameter(url.plugin);
  const plugin = { value: command, from };
  return { isForeign: true, plugin, ...(options !== undefined && { pluginOpts: { value: options, from } }) };
}

type Environment = Readonly<Record<string, string | undefined>>;

/** What there is beside a list of servers. */
export interface BesideList {
  /** What holds for all of them, above what their entries say. */
  readonly given?: Given;
  /** What holds for all of them, below that. */
  readonly file?: File;
  /** Of this process, for plugins. */
  readonly env: Environment;
  /** Whether others have written the list. */
  readonly isForeign?: boolean;
}

/**
 * The servers of a list; at least one.
 *
 * @throws PodsocksError ERR_CONFIG.
 */
export function listedServers(
  listed: NonNullable<File['servers']>,
  { given = {}, file = {}, env, isForeign = false }: BesideList,
): readonly Server[] {
  if (file.server) throw wrong(`${file.server.from}: is given beside "servers"; put it into the list`);
  const servers = listed.value.flatMap((entry, i) => {
    if (entry.disabled) return [];
    const from = `${listed.from}[${i}]`;
    const address = entry.server ?? entry.address;
    if (!address) throw wrong(`${from}: has no host; add "server"`);
    const own = entry.password === undefined ? undefined : { value: entry.password, from: `${from}.password` };
    return serverOf({
      host: address.host,
      port: given.serverPort?.value ?? entry.server_port ?? entry.port ?? address.port ?? file.serverPort?.value,
      method: given.method ?? (entry.method && { value: entry.method, from: `${from}.method` }) ?? file.method,
      password: given.password ?? own ?? file.password,
      name: entry.remarks ?? entry.name ?? entry.tag,
      mode: entry.mode && { value: entry.mode, from: `${from}.mode` },
      plugin: serverPlugin({ above: given, own: { ...pluginOfEntry(entry, from), isForeign }, below: file }, env),
      from,
      isForeign,
    });
  });
  if (servers.length === 0) throw wrong(`${listed.from}: has no server that is not disabled; add one`);
  return servers;
}

function pluginOfEntry(
  { plugin, plugin_opts: options }: { readonly plugin?: string | undefined; readonly plugin_opts?: string | undefined },
  from: string,
): GivenPlugin {
  return {
    ...(plugin !== undefined && { plugin: { value: plugin, from: `${from}.plugin` } }),
    ...(options !== undefined && { pluginOpts: { value: options, from: `${from}.plugin_opts` } }),
  };
}

interface ServerParts {
  readonly host: string;
  readonly port: number | undefined;
  readonly method: Sourced<Method> | undefined;
  readonly password: Sourced<string> | undefined;
  readonly name: string | undefined;
  readonly mode?: Sourced<Mode> | undefined;
  readonly plugin: PluginConfig | undefined;
  readonly from: string;
  /** Whether others have written it. */
  readonly isForeign?: boolean;
}

function serverOf(parts: ServerParts): Server {
  const { host, port = DEFAULT_PORT, method: given, password, mode, plugin, from, isForeign = false } = parts;
  if (port === 0) throw wrong(`${from}: no server has port 0; give its port`);
  if (!password) {
    const mend = isForeign
      ? 'ask for a list that has one for each server'
      : 'give it as SS_PASSWORD, --password-file or "password" in the file, or use an ss:// URL';
    throw wrong(`${from}: no password for ${host}; ${mend}`);
  }
  const method = given?.value ?? methodNamed(DEFAULT_METHOD);
  const name = serverName(parts.name);
  const keys = located(password.from, () => clientKeys(method, password.value));
  return { host, port, method, keys, ...(name && { name }), ...(mode && { mode }), ...(plugin && { plugin }) };
}

function wrong(message: string): PodsocksError {
  return new PodsocksError('ERR_CONFIG', message);
}
