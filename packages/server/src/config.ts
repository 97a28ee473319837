import { isIPv6 } from 'node:net';
import { availableParallelism } from 'node:os';
import { backendFor } from '@podsocks/shared/crypto/backends';
import { serverKey } from '@podsocks/shared/crypto/key-derivation';
import { DEFAULT_METHOD, type Method, methodNamed } from '@podsocks/shared/crypto/methods';
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
import { commonFields, type Fields, number, records, secret, text, texts } from '@podsocks/shared/settings/fields';
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
import { DEFAULT_USER, knownUsers } from './keyring.ts';
import { POLICY_SETTINGS, parseMember, policyFields } from './policy/fields.ts';
import type { Network } from './policy/network.ts';
import type { PolicyOptions } from './policy/policy.ts';
import { policyFrom } from './policy/policy-sources.ts';
import { RESOLVER_SETTINGS, resolverFields } from './resolver/fields.ts';

/** What ss-server runs with. Times in milliseconds. */
export interface ServerConfig extends CommonConfig {
  readonly listen: readonly { readonly host: string; readonly port: number }[];
  readonly method: Method;
  /** SIP022: the PSK, or the iPSK where there are users. SIP004: the key; absent where there are users. */
  readonly key?: Uint8Array;
  readonly users: readonly { readonly name: string; readonly key: Uint8Array; readonly groups?: readonly string[] }[];
  /** Who may go where. */
  readonly policy: Pick<PolicyOptions, 'rules' | 'default'>;
  /** Processes that serve. With more than one, each has an even share of `maxConnections`, rounded up. */
  readonly workers: number;
  /** DNS servers to ask, and how; default: what /etc/resolv.conf says. */
  readonly nameservers?: readonly { readonly host: string; readonly port: number }[];
  readonly dnsSearch?: readonly string[];
  readonly dnsNdots?: number;
  /** The cap of UDP associations; default: what open files allow. */
  readonly udpMaxAssociations?: number;
  /** Milliseconds without a datagram after which an association ends. */
  readonly udpTimeout: number;
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
  users: records({ name: text(parseMember), password: secret, groups: texts(parseMember).optional() }),
} satisfies Fields;

const FOREIGN: ForeignFields = {
  // shadowsocks-libev's example, which many files began as, has it for both programs.
  noEffect: { local_port: 'it belongs to ss-local' },
  refused: {
    servers: 'there is one port; use "server" and "server_port", and "users" for several passwords',
    socks_users: 'they belong to ss-local; remove it',
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
  const flags = folded(flagLayer(SERVER_SETTINGS, parsed), warn);
  const environment = folded(envLayer(SERVER_SETTINGS, env), warn);
  const path = (flags.config ?? environment.config)?.value;
  const file = path === undefined ? {} : readConfigFile(path, FILE_FIELDS, FOREIGN, warn);
  const given = { ...file, ...environment, ...flags, ...denials([flags, environment, file]) };
  for (const name of POLICY_VARIABLES) {
    // Of other variables, an empty one counts as unset; here that would open what was to be closed.
    if (env[name] === '') throw wrong(`${name}: is empty; list something, or unset it`);
  }

  const method = given.method?.value ?? methodNamed(DEFAULT_METHOD);
  const users = usersOf(method, given.password, given.users);
  const bindAddress = bindAddressOf(flags.localAddress ?? environment.localAddress ?? addressesIn(file));
  const config: ServerConfig = {
    listen: (given.server?.value ?? [{ host: DEFAULT_HOST }]).map(({ host, port }) => ({
      host,
      port: portOf(port, given.server, [flags, environment, file]) ?? DEFAULT_PORT,
    })),
    method,
    ...keysOf(method, given.password, users),
    policy: policyFrom(given, { users: knownUsers(users) }),
    workers: given.workers?.value ?? 1,
    ...(given.nameserver && { nameservers: given.nameserver.value.flat() }),
    ...(given.dnsSearch && { dnsSearch: given.dnsSearch.value.flat() }),
    ...(given.dnsNdots && { dnsNdots: given.dnsNdots.value }),
    ...(given.udpMaxAssociations && { udpMaxAssociations: given.udpMaxAssociations.value }),
    udpTimeout: given.udpTimeout?.value ?? DEFAULT_UDP_TIMEOUT,
    ...(bindAddress && { bindAddress }),
    ...commonConfig(given, DEFAULTS, { warn, nodeVersion }),
  };
  backendFor(method, config.cryptoBackend);
  if (!carriesUdp(config.mode) && given.udpMaxAssociations) {
    warn(`${given.udpMaxAssociations.from}: has no effect without UDP; add -u, or leave it out`);
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
    secrets: {
      ...(given.password && { password: given.password.value }),
      users: users.map(({ name, password }) => ({ name, password: password.value })),
    },
    logLevel: given.logLevel?.value ?? 'info',
    ...(given.logFormat && { logFormat: given.logFormat.value }),
    warnings,
  };
}

interface User {
  readonly name: string;
  readonly groups?: readonly string[];
  readonly password: Sourced<string>;
  /** Where the name is. */
  readonly from: string;
}

/** The users in the file, and in SIP004 the one whom the top-level password makes. */
function usersOf(
  method: Method,
  password: Sourced<string> | undefined,
  listed:
    | Sourced<
        readonly { readonly name: string; readonly password: string; readonly groups?: readonly string[] | undefined }[]
      >
    | undefined,
): readonly User[] {
  if (!listed) return [];
  if (listed.value.length === 0) {
    throw wrong(`${listed.from}: is empty; list a user, or remove it to run with one password for all`);
  }
  if (method.generation === 'sip022' && !method.identityHeaders) {
    throw wrong(
      `${listed.from}: ${method.name} cannot tell users apart; use 2022-blake3-aes-256-gcm or 2022-blake3-aes-128-gcm`,
    );
  }
  const users = listed.value.map((user, i) => ({
    name: user.name,
    ...(user.groups && { groups: user.groups }),
    password: { value: user.password, from: `${listed.from}[${i}].password` },
    from: `${listed.from}[${i}].name`,
  }));
  if (method.generation === 'sip004' && password) users.push({ name: DEFAULT_USER, password, from: password.from });
  const names = new Set<string>();
  for (const { name, from } of users) {
    if (names.has(name)) throw wrong(`${from}: the name ${JSON.stringify(name)} is taken; give each user its own`);
    names.add(name);
  }
  return users;
}

/** The keys of the configuration, no two of them the same: the key is what tells who somebody is. */
function keysOf(
  method: Method,
  password: Sourced<string> | undefined,
  users: readonly User[],
): Pick<ServerConfig, 'key' | 'users'> {
  const owners = new Map<string, string>();
  const keyOf = ({ value, from }: Sourced<string>, owner: string): Uint8Array => {
    const key = located(from, () => serverKey(method, value));
    const twin = owners.get(Buffer.from(key).toString('hex'));
    if (twin) throw wrong(`${from}: is the same as that of ${twin}; give each user a key of its own: ss-server genkey`);
    owners.set(Buffer.from(key).toString('hex'), owner);
    return key;
  };
  const needsKey = method.generation === 'sip022' || users.length === 0;
  if (needsKey && !password) {
    throw wrong(
      `no password${users.length > 0 ? ' beside the users: they need a main key too' : ''}; make one with: ` +
        `ss-server genkey -m ${method.name}, and give it as SS_PASSWORD, --password-file or "password" in the file`,
    );
  }
  return {
    ...(needsKey && password && { key: keyOf(password, 'the server') }),
    users: users.map(({ name, groups, password: own }) => ({
      name,
      key: keyOf(own, JSON.stringify(name)),
      ...(groups && { groups }),
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
