import { isIPv6 } from 'node:net';
import { availableParallelism } from 'node:os';
import { backendFor } from '@podsocks/shared/crypto/backends';
import { serverKey } from '@podsocks/shared/crypto/key-derivation';
import { DEFAULT_METHOD, type Method, methodNamed } from '@podsocks/shared/crypto/methods';
import type { Network } from '@podsocks/shared/matching/network';
import {
  PLUGIN_FOREIGN_FIELDS,
  PLUGIN_SETTINGS,
  type PluginConfig,
  pluginFields,
} from '@podsocks/shared/plugin/fields';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import type { Preamble } from '@podsocks/shared/runtime/lifecycle';
import {
  type CommonConfig,
  commonConfig,
  commonSettings,
  drainTimeoutSetting,
  folded,
} from '@podsocks/shared/settings/common-config';
import { type FileLayer, readConfigFile } from '@podsocks/shared/settings/config-file';
import { commonFields, type Fields, number, text, texts } from '@podsocks/shared/settings/fields';
import type { ForeignFields } from '@podsocks/shared/settings/foreign-fields';
import { carriesUdp } from '@podsocks/shared/settings/mode';
import {
  envLayer,
  flagLayer,
  located,
  portOf,
  type Settings,
  type Sourced,
  several,
  single,
} from '@podsocks/shared/settings/settings';
import {
  parseAddress,
  parseCount,
  parseHost,
  parseListenPort,
  parseUdpTimeout,
} from '@podsocks/shared/settings/values';
import { formatTarget } from '@podsocks/shared/wire/address';
import { ADMIN_SETTINGS, adminFields } from './admin/fields.ts';
import { AUDIT_SETTINGS, auditFields } from './audit/fields.ts';
import { DEFAULT_USER, knownUsers } from './keyring.ts';
import { withPlugin } from './plugin/plugin-settings.ts';
import { POLICY_SETTINGS, policyFields } from './policy/fields.ts';
import type { PolicyOptions } from './policy/policy.ts';
import { policyFrom } from './policy/policy-sources.ts';
import { PROXY_PROTOCOL_SETTINGS, proxyProtocolFields } from './proxy-protocol/fields.ts';
import { RESOLVER_SETTINGS, resolverFields } from './resolver/fields.ts';
import { USERS_SETTINGS, usersFields } from './users/fields.ts';
import { keyedUsers } from './users/keyed-users.ts';
import type { ServerUser } from './users/user.ts';
import { type ListedUser, listedUsers, readUsers } from './users/users-files.ts';

/** What ss-server runs with. Times in milliseconds. */
export interface ServerConfig extends CommonConfig {
  readonly listen: readonly { readonly host: string; readonly port: number }[];
  /** Listens for TCP in the server's place, and hands on what comes. */
  readonly plugin?: PluginConfig;
  /** Behind a plugin: where it listens, and UDP is served; `listen` is what it hands on to. */
  readonly publicListen?: ServerConfig['listen'];
  readonly method: Method;
  /** SIP022: the PSK, or the iPSK where there are users. SIP004: the key; absent where there are users. */
  readonly key?: Uint8Array;
  readonly users: readonly ServerUser[];
  /** Where users come and go; `users` are those at the start, and `key` may be there beside them under SIP004, too. */
  readonly usersPath?: string;
  /** Who may go where. */
  readonly policy: Pick<PolicyOptions, 'rules' | 'default'>;
  /** Processes that serve. With more than one, each has an even share of `maxConnections`, rounded up. */
  readonly workers: number;
  /** Of a worker: what all of them together serve, where `mode` is less. */
  readonly serviceMode?: CommonConfig['mode'];
  /** DNS servers to ask, and how; default: what /etc/resolv.conf says. */
  readonly nameservers?: readonly { readonly host: string; readonly port: number }[];
  readonly dnsSearch?: readonly string[];
  readonly dnsNdots?: number;
  /** The cap of UDP associations; default: what open files allow. */
  readonly udpMaxAssociations?: number;
  /** Milliseconds without a datagram after which an association ends. */
  readonly udpTimeout: number;
  /** Where to write who did what: a file, or `-` for stdout; default: nowhere. */
  readonly audit?: string;
  /** Where metrics and health are told; default: nowhere. */
  readonly admin?: { readonly host: string; readonly port: number };
  /** Whether TCP connections come through a load balancer that says whose they are. */
  readonly proxyProtocol?: boolean;
  /** Where outgoing connections leave from, per address family. */
  readonly bindAddress?: { readonly ipv4?: string; readonly ipv6?: string };
}

/** The passwords behind the keys of a configuration, as `ss-server url` needs them. */
export interface ServerSecrets {
  readonly password?: string;
  readonly users: readonly { readonly name: string; readonly password: string }[];
}

export interface LoadedServer extends Preamble {
  readonly config: ServerConfig;
  readonly secrets: ServerSecrets;
}

export const DEFAULT_PORT = 8388;
const DEFAULT_HOST = '0.0.0.0';
/** Kubernetes kills a pod 30 s after SIGTERM; draining has to be over before. */
const DEFAULTS = { handshakeTimeout: 60_000, drainTimeout: 25_000 };
const DEFAULT_UDP_TIMEOUT = 300_000;

/** The command line of ss-server, in the order of its help. */
export const SERVER_SETTINGS = {
  server: several(
    { flags: '-s, --server <host>', env: 'SS_SERVER' },
    `address to listen on, may be repeated (default: ${DEFAULT_HOST})`,
    parseHost,
  ),
  serverPort: single(
    { flags: '-p, --server-port <port>', env: 'SS_SERVER_PORT' },
    `port to listen on (default: ${DEFAULT_PORT})`,
    parseListenPort,
  ),
  localAddress: several(
    { flags: '-b, --local-address <address>', env: 'SS_LOCAL_ADDRESS' },
    'address that outgoing connections leave from; may be given once for IPv4 and once for IPv6',
    parseAddress,
  ),
  ...RESOLVER_SETTINGS,
  udpMaxAssociations: single(
    { flags: '--udp-max-associations <number>', env: 'SS_UDP_MAX_ASSOCIATIONS' },
    'UDP associations at a time, one for each address that a program sends from (default: as many as open files allow)',
    parseCount,
  ),
  udpTimeout: single(
    { flags: '--udp-timeout <seconds>', env: 'SS_UDP_TIMEOUT' },
    `end UDP associations that are idle for so long, at least 60 (default: ${DEFAULT_UDP_TIMEOUT / 1000})`,
    parseUdpTimeout,
  ),
  ...POLICY_SETTINGS,
  ...USERS_SETTINGS,
  ...AUDIT_SETTINGS,
  ...ADMIN_SETTINGS,
  ...PROXY_PROTOCOL_SETTINGS,
  ...PLUGIN_SETTINGS,
  drainTimeout: drainTimeoutSetting(DEFAULTS.drainTimeout),
  workers: single(
    { flags: '--workers <number>', env: 'SS_WORKERS' },
    'processes that serve, or auto: one for each processor (default: 1)',
    parseWorkers,
  ),
  ...commonSettings,
} satisfies Settings;

const FILE_FIELDS = {
  ...commonFields,
  local_address: texts(parseAddress),
  local_ipv4_address: text(parseAddress),
  local_ipv6_address: text(parseAddress),
  ...resolverFields,
  udp_max_associations: number(parseCount),
  udp_timeout: number(parseUdpTimeout),
  workers: number(parseWorkers),
  ...policyFields,
  ...auditFields,
  ...adminFields,
  ...proxyProtocolFields,
  ...pluginFields,
  ...usersFields,
} satisfies Fields;

const FOREIGN: ForeignFields = {
  // shadowsocks-libev's example, which many files began as, has it for both programs.
  noEffect: { local_port: 'it belongs to ss-local' },
  refused: {
    ...PLUGIN_FOREIGN_FIELDS,
    servers: 'there is one port; use "server" and "server_port", and "users" for several passwords',
    socks_users: 'they belong to ss-local; remove it',
    connect_reply: 'it belongs to ss-local; put it into its file',
  },
};

/**
 * The configuration from flags (commander's `opts()`), environment and file, in this order of precedence.
 *
 * @throws PodsocksError ERR_USAGE or ERR_CONFIG, naming place, fault and mend, and never a secret.
 */
export function loadServer(
  parsed: Readonly<Record<string, unknown>>,
  env: Readonly<Record<string, string | undefined>>,
  nodeVersion: string = process.versions.node,
): LoadedServer {
  const warnings: string[] = [];
  const warn = (message: string) => void warnings.push(message);
  const settings = readSettings(parsed, env, warn);
  const { flags, environment, file, given, usersPath, method } = settings;
  for (const name of POLICY_VARIABLES) {
    // Of other variables, an empty one counts as unset; here that would open what was to be closed.
    if (env[name] === '') throw wrong(`${name}: is empty; list something, or unset it`);
  }

  const listed = listedIn(method, file.users, usersPath, warn);
  const { key, users, secrets } = withKeys(method, given.password, listed, usersPath);
  if (usersPath && users.length === 0) warn(`${usersPath.from}: ${usersPath.value} has no user yet`);
  const bindAddress = bindAddressOf(flags.localAddress ?? environment.localAddress ?? addressesIn(file));
  const bare: ServerConfig = {
    listen: listenOf(settings),
    method,
    ...(key && { key }),
    users,
    ...(usersPath && { usersPath: usersPath.value }),
    policy: policyFrom(given, {
      users: knownUsers({ method, key, users, usersPath: usersPath?.value }),
      warn: usersPath && warn,
    }),
    workers: given.workers?.value ?? 1,
    ...(given.nameserver && { nameservers: given.nameserver.value.flat() }),
    ...(given.dnsSearch && { dnsSearch: given.dnsSearch.value.flat() }),
    ...(given.dnsNdots && { dnsNdots: given.dnsNdots.value }),
    ...(given.udpMaxAssociations && { udpMaxAssociations: given.udpMaxAssociations.value }),
    udpTimeout: given.udpTimeout?.value ?? DEFAULT_UDP_TIMEOUT,
    ...(given.audit && { audit: given.audit.value }),
    ...(given.admin && { admin: given.admin.value }),
    ...(given.proxyProtocol && { proxyProtocol: given.proxyProtocol.value }),
    ...(bindAddress && { bindAddress }),
    ...commonConfig(given, DEFAULTS, { warn, nodeVersion }),
  };
  const config = withPlugin(bare, given, env, warn);
  backendFor(method, config.cryptoBackend);
  const { admin, listen } = config;
  if (admin && admin.port !== 0 && listen.some(({ host, port }) => host === admin.host && port === admin.port)) {
    throw wrong(`${given.admin?.from}: ${formatTarget(admin)} is where it serves users; give another port`);
  }
  if (!carriesUdp(config.mode) && given.udpMaxAssociations) {
    warn(`${given.udpMaxAssociations.from}: has no effect without UDP; add -u, or leave it out`);
  }
  if (config.mode === 'udp_only' && config.proxyProtocol) {
    warn(`${given.proxyProtocol?.from}: has no effect on UDP, and there is nothing else; leave it out`);
  }
  if (config.mode === 'udp_only' && config.workers > 1) {
    throw wrong(`${given.workers?.from}: UDP is served by one process, and there is nothing else to do; leave it out`);
  }
  if (config.reusePort && config.workers > 1 && config.listen.some(({ port }) => port === 0)) {
    throw wrong(
      `${given.reusePort?.from}: each worker binds the port itself, so 0 would give each another; ` +
        'choose a port, or leave it out',
    );
  }
  return {
    config,
    secrets: { ...(given.password && { password: given.password.value }), users: secrets },
    logLevel: given.logLevel?.value ?? 'info',
    ...(given.logFormat && { logFormat: given.logFormat.value }),
    warnings,
  };
}

/**
 * What flags, environment and file say, each for itself and spread over each other, for commands that can do without some of
 * it.
 *
 * @throws PodsocksError ERR_USAGE or ERR_CONFIG.
 */
export function readSettings(
  parsed: Readonly<Record<string, unknown>>,
  env: Readonly<Record<string, string | undefined>>,
  warn: (message: string) => void,
) {
  const flags = folded(flagLayer(SERVER_SETTINGS, parsed), warn);
  const environment = folded(envLayer(SERVER_SETTINGS, env), warn);
  const path = (flags.config ?? environment.config)?.value;
  const file = path === undefined ? {} : readConfigFile(path, FILE_FIELDS, FOREIGN, warn);
  const given = { ...file, ...environment, ...flags, ...denials([flags, environment, file]) };
  const usersPath = flags.users ?? environment.users ?? file.usersPath;
  const method: Method = given.method?.value ?? methodNamed(DEFAULT_METHOD);
  return { flags, environment, file, given, usersPath, method };
}

/** Where the server listens. */
export function listenOf({ flags, environment, file, given }: ReturnType<typeof readSettings>): ServerConfig['listen'] {
  return (given.server?.value ?? [{ host: DEFAULT_HOST }]).map(({ host, port }) => ({
    host,
    port: portOf(port, given.server, [flags, environment, file]) ?? DEFAULT_PORT,
  }));
}

/** The users that there are to be; undefined where nothing speaks of users. */
function listedIn(
  method: Method,
  inFile: FileLayer<typeof FILE_FIELDS>['users'],
  path: Sourced<string> | undefined,
  warn: (message: string) => void,
): readonly ListedUser[] | undefined {
  const source = path ?? inFile;
  if (source === undefined) return undefined;
  if (path && inFile) throw wrong(`${path.from} and ${inFile.from} both say who the users are; keep one`);
  if (method.generation === 'sip022' && !method.identityHeaders) {
    throw wrong(
      `${source.from}: ${method.name} cannot tell users apart; use 2022-blake3-aes-256-gcm or 2022-blake3-aes-128-gcm`,
    );
  }
  if (path) return located(path.from, () => readUsers(path.value, message => warn(`${path.from}: ${message}`)));
  if (inFile!.value.length === 0) {
    throw wrong(`${source.from}: is empty; list a user, or remove it to run with one password for all`);
  }
  return listedUsers(inFile!);
}

interface Keys extends Pick<ServerConfig, 'key' | 'users'> {
  readonly secrets: ServerSecrets['users'];
}

/**
 * The keys of the configuration, no two of them the same. Under SIP004 the top-level password makes one more user: beside
 * those who come and go it is apart, else in the list.
 */
function withKeys(
  method: Method,
  password: Sourced<string> | undefined,
  listed: readonly ListedUser[] | undefined,
  path: Sourced<string> | undefined,
): Keys {
  const main = password && { name: DEFAULT_USER, password, from: password.from };
  const isMore = method.generation === 'sip004' && listed !== undefined;
  const needsKey = method.generation === 'sip022' || listed === undefined;
  if (needsKey && !password) {
    throw wrong(
      `no password${listed ? ' beside the users: they need a main key too' : ''}; make one with: ` +
        `ss-server genkey -m ${method.name}, and give it as SS_PASSWORD, --password-file or "password" in the file`,
    );
  }
  const inList = [...(listed ?? []), ...(isMore && main && !path ? [main] : [])];
  const isApart = needsKey || path !== undefined;
  const key = isApart && password ? located(password.from, () => serverKey(method, password.value)) : undefined;
  const keyed = () => keyedUsers(inList, { method, key });
  return {
    ...(key && { key }),
    users: path ? located(path.from, keyed) : keyed(),
    secrets: [...inList, ...(isMore && main && path ? [main] : [])].map(user => ({
      name: user.name,
      password: user.password.value,
    })),
  };
}

/** All spellings of "local_address" that shadowsocks-libev has. */
function addressesIn(file: FileLayer<typeof FILE_FIELDS>): Sourced<readonly string[]> | undefined {
  const given = [file.localAddress, file.localIpv4Address, file.localIpv6Address].filter(field => field !== undefined);
  return given[0] && { value: given.flatMap(field => field.value), from: given.map(field => field.from).join(', ') };
}

function bindAddressOf(given: Sourced<readonly string[]> | undefined): ServerConfig['bindAddress'] {
  if (!given) return undefined;
  const [ipv6, ipv4] = [given.value.filter(isIPv6), given.value.filter(address => !isIPv6(address))];
  if (ipv4.length > 1 || ipv6.length > 1) {
    throw wrong(`${given.from}: takes one IPv4 and one IPv6 address; leave out the others`);
  }
  return { ...(ipv4[0] && { ipv4: ipv4[0] }), ...(ipv6[0] && { ipv6: ipv6[0] }) };
}

/** More are a slip, such as a port in the wrong place: each takes some 80 MB. */
const MOST_WORKERS = 256;

function parseWorkers(text: string): number {
  if (text === 'auto') return Math.min(availableParallelism(), MOST_WORKERS);
  const workers = /^\d+$/.test(text) ? Number(text) : 0;
  if (workers >= 1 && workers <= MOST_WORKERS) return workers;
  throw wrong(`${JSON.stringify(text)} is no number of workers; give one from 1 to ${MOST_WORKERS}, or auto`);
}

const POLICY_VARIABLES = ['SS_ALLOW', 'SS_DENY', 'SS_ACL', 'SS_POLICY_DEFAULT'];

/** All that any source denies: to add a denial must not take away another. */
function denials(layers: readonly { readonly deny?: Sourced<readonly Network[]> }[]): {
  deny?: Sourced<readonly Network[]>;
} {
  const given = layers.flatMap(({ deny }) => deny ?? []);
  if (given.length === 0) return {};
  return { deny: { value: given.flatMap(({ value }) => value), from: given.map(({ from }) => from).join(', ') } };
}

function wrong(message: string): PodsocksError {
  return new PodsocksError('ERR_CONFIG', message);
}
