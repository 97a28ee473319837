import { backendFor } from '@podsocks/shared/crypto/backends';
import { type ClientKeys, clientKeys } from '@podsocks/shared/crypto/key-derivation';
import { DEFAULT_METHOD, type Method, methodNamed } from '@podsocks/shared/crypto/methods';
import {
  commonFields,
  type Fields,
  type FileLayer,
  type ForeignFields,
  number,
  readConfigFile,
  records,
  secret,
  text,
  texts,
  yesOrNo,
} from '@podsocks/shared/runtime/config-file';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import type { Preamble } from '@podsocks/shared/runtime/lifecycle';
import {
  asText,
  type CommonConfig,
  commonConfig,
  commonSettings,
  drainTimeoutSetting,
  envLayer,
  flagLayer,
  folded,
  type Layer,
  located,
  oneOf,
  parseHost,
  parseListenPort,
  parsePort,
  portOf,
  readSecretFile,
  type Settings,
  type Sourced,
  several,
  single,
  type Warn,
} from '@podsocks/shared/runtime/options';
import { parseSsUrl } from '@podsocks/shared/wire/ss-url';

/** A server that ss-local connects to. */
export interface Server {
  readonly host: string;
  readonly port: number;
  readonly method: Method;
  readonly keys: ClientKeys;
  readonly name?: string;
}

/** What ss-local runs with. Times in milliseconds. */
export interface ClientConfig extends CommonConfig {
  readonly listen: readonly { readonly host: string; readonly port: number }[];
  /** At least one. */
  readonly servers: readonly Server[];
  /** Who may use the SOCKS port; empty: everybody who reaches it. */
  readonly socksUsers: readonly { readonly username: string; readonly password: string }[];
}

export interface LoadedClient extends Preamble {
  readonly config: ClientConfig;
}

const DEFAULT_LISTEN = { host: '127.0.0.1', port: 1080 };
const DEFAULT_SERVER_PORT = 8388;
const DEFAULTS = { handshakeTimeout: 10_000, drainTimeout: 5_000 };

/** The command line of ss-local, in the order of its help. */
export const CLIENT_SETTINGS = {
  url: single({ flags: 'ss://URL', env: 'SS_URL' }, 'the server; stands for -s, -p, -m and -k', parseSsUrl),
  server: several({ flags: '-s, --server <host>', env: 'SS_SERVER' }, 'server, may be repeated', parseHost),
  serverPort: single(
    { flags: '-p, --server-port <port>', env: 'SS_SERVER_PORT' },
    `port of the server (default: ${DEFAULT_SERVER_PORT})`,
    parsePort,
  ),
  localAddress: several(
    { flags: '-b, --local-address <address>', env: 'SS_LOCAL_ADDRESS' },
    `address to listen on, may be repeated (default: ${DEFAULT_LISTEN.host})`,
    parseListenHost,
  ),
  localPort: single(
    { flags: '-l, --local-port <port>', env: 'SS_LOCAL_PORT' },
    `port to listen on (default: ${DEFAULT_LISTEN.port})`,
    parseListenPort,
  ),
  socksUsername: single(
    { flags: '--socks-username <name>', env: 'SS_SOCKS_USERNAME' },
    'user name that SOCKS clients have to give',
    asText,
  ),
  socksPasswordFile: single({ flags: '--socks-password-file <file>' }, 'file that holds their password', asText),
  socksPassword: single({ env: 'SS_SOCKS_PASSWORD' }, 'password that SOCKS clients have to give', asText),
  drainTimeout: drainTimeoutSetting(DEFAULTS.drainTimeout),
  ...commonSettings,
} satisfies Settings;

/** SIP008 says server, server_port and remarks; the other names are those of shadowsocks-rust. */
const SERVER_FIELDS = {
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
} satisfies Fields;

const FILE_FIELDS = {
  ...commonFields,
  server_port: number(parsePort),
  local_address: texts(parseListenHost),
  local_port: number(parseListenPort),
  protocol: text(oneOf(['socks'])),
  servers: records(SERVER_FIELDS),
  socks_users: records({ username: text(asText), password: secret }),
} satisfies Fields;

const FOREIGN: ForeignFields = {
  noEffect: {
    local_ipv4_address: 'it belongs to ss-server',
    local_ipv6_address: 'it belongs to ss-server',
    // Only where it is not a field of its own: in an entry of "servers".
    timeout: 'it is one for all servers, outside of "servers"',
  },
  refused: {
    socks5_auth_config_path: 'it is not read; use "socks_users"',
    users: 'they belong to ss-server; a user\'s "password" here is the main key, a colon and the key of the user',
  },
};

type File = FileLayer<typeof FILE_FIELDS>;
type Given = Layer<typeof CLIENT_SETTINGS>;

/**
 * The configuration from flags (commander's `opts()`, and `url`), environment and file, in this order of precedence.
 *
 * @throws PodsocksError ERR_USAGE or ERR_CONFIG, naming place, fault and mend, and never a secret.
 */
export function loadClient(
  parsed: Readonly<Record<string, unknown>>,
  env: Readonly<Record<string, string | undefined>>,
  nodeVersion: string = process.versions.node,
): LoadedClient {
  const warnings: string[] = [];
  const warn = (message: string) => void warnings.push(message);
  const flags = withUrl(folded(flagLayer(CLIENT_SETTINGS, parsed), warn));
  const environment = withUrl(folded(envLayer(CLIENT_SETTINGS, env), warn));
  const path = (flags.config ?? environment.config)?.value;
  const file: File = path === undefined ? {} : readConfigFile(path, FILE_FIELDS, FOREIGN, warn);
  const given = { ...file, ...environment, ...flags };

  const hosts = given.localAddress?.value ?? [DEFAULT_LISTEN.host];
  const common = commonConfig(given, DEFAULTS, { warn, nodeVersion });
  const config: ClientConfig = {
    listen: hosts.map(host => ({ host, port: given.localPort?.value ?? DEFAULT_LISTEN.port })),
    servers: serversOf(flags, environment, file),
    socksUsers: socksUsersOf({ ...environment, ...flags }, file, warn),
    ...common,
  };
  for (const server of config.servers) backendFor(server.method, common.cryptoBackend);
  return {
    config,
    logLevel: given.logLevel?.value ?? 'info',
    ...(given.logFormat && { logFormat: given.logFormat.value }),
    warnings,
  };
}

/** Lets a URL give, within its source, what -s, -p, -m and -k would. */
function withUrl(layer: Given): Given {
  const { url } = layer;
  if (!url) return layer;
  const { value, from } = url;
  const rival = layer.server ?? layer.serverPort ?? layer.method ?? layer.password;
  if (rival) {
    throw new PodsocksError('ERR_USAGE', `${from} and ${rival.from} both say how to reach the server; leave one out`);
  }
  if (value.plugin) {
    throw wrong(`${from}: the server wants a plugin, and plugins are not available yet; ask for a URL without`);
  }
  return {
    ...layer,
    server: { value: [{ host: value.host, port: value.port }], from },
    method: { value: methodNamed(value.method), from },
    password: { value: value.password, from },
  };
}

/** A server named by flag or environment replaces the list of the file; what else they say holds for the whole list. */
function serversOf(flags: Given, environment: Given, file: File): readonly Server[] {
  const given = { ...environment, ...flags };
  if (file.servers && !given.server) return listedServers(file.servers, given, file);
  const { server, url, method, password } = { ...file, ...given };
  if (!server) throw wrong('no server; give an ss:// URL, -s (--server), SS_URL, or "server" or "servers" in the file');
  const name = url && url.from === server.from ? url.value.tag : undefined;
  return server.value.map(({ host, port }) =>
    serverOf({
      host,
      port: portOf(port, server, [flags, environment, file]),
      method,
      password,
      name,
      from: server.from,
    }),
  );
}

function listedServers(listed: NonNullable<File['servers']>, given: Given, file: File): readonly Server[] {
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
      from,
    });
  });
  if (servers.length === 0) throw wrong(`${listed.from}: has no server that is not disabled; add one`);
  return servers;
}

interface ServerParts {
  readonly host: string;
  readonly port: number | undefined;
  readonly method: Sourced<Method> | undefined;
  readonly password: Sourced<string> | undefined;
  readonly name: string | undefined;
  readonly from: string;
}

function serverOf({ host, port = DEFAULT_SERVER_PORT, method: given, password, name, from }: ServerParts): Server {
  if (port === 0) throw wrong(`${from}: no server has port 0; give its port`);
  if (!password) {
    throw wrong(
      `${from}: no password for ${host}; give it as SS_PASSWORD, --password-file or "password" in the file, or use an ss:// URL`,
    );
  }
  const method = given?.value ?? methodNamed(DEFAULT_METHOD);
  const keys = located(password.from, () => clientKeys(method, password.value));
  return { host, port, method, keys, ...(name && { name }) };
}

function parseListenHost(text: string): string {
  const { host, port } = parseHost(text);
  if (port === undefined) return host;
  throw wrong('is an address with a port; give the port as -l (--local-port) or "local_port"');
}

/** RFC 1929 has one byte for each length. */
const MAX_SOCKS_BYTES = 255;

function socksUsersOf(given: Given, file: File, warn: Warn): ClientConfig['socksUsers'] {
  const { socksUsername: username, socksPasswordFile, socksPassword } = given;
  const password = socksPasswordFile ? readSecretFile(socksPasswordFile, warn) : socksPassword;
  if (username && !password) {
    throw wrong(`${username.from}: there is no password for it; give --socks-password-file or SS_SOCKS_PASSWORD`);
  }
  if (password && !username) {
    throw wrong(`${password.from}: there is no user name for it; give --socks-username or SS_SOCKS_USERNAME`);
  }
  const users =
    username && password ? [{ username: username.value, password: password.value }] : file.socksUsers?.value;
  const from = username?.from ?? file.socksUsers?.from;
  const names = new Set<string>();
  for (const user of users ?? []) {
    for (const [what, value] of Object.entries(user)) {
      const bytes = Buffer.byteLength(value);
      if (bytes === 0 || bytes > MAX_SOCKS_BYTES) {
        throw wrong(`${from}: a SOCKS ${what} has 1 to ${MAX_SOCKS_BYTES} bytes, this one has ${bytes}; give another`);
      }
    }
    if (names.has(user.username)) throw wrong(`${from}: a user name is there twice; give each user its own`);
    names.add(user.username);
  }
  return users ?? [];
}

function wrong(message: string): PodsocksError {
  return new PodsocksError('ERR_CONFIG', message);
}
