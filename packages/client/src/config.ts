import { BlockList, isIP, isIPv6 } from 'node:net';
import { backendFor } from '@podsocks/shared/crypto/backends';
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
import {
  commonFields,
  type Fields,
  number,
  records,
  secret,
  text,
  texts,
  yesOrNo,
} from '@podsocks/shared/settings/fields';
import type { ForeignFields } from '@podsocks/shared/settings/foreign-fields';
import { carriesUdp, type Mode } from '@podsocks/shared/settings/mode';
import { readSecretFile } from '@podsocks/shared/settings/secret-file';
import {
  envLayer,
  flagLayer,
  type Layer,
  type Settings,
  type Sourced,
  several,
  single,
  toggle,
  type Warn,
} from '@podsocks/shared/settings/settings';
import { asText, oneOf, parseHost, parseListenPort } from '@podsocks/shared/settings/values';
import { formatTarget } from '@podsocks/shared/wire/address';
import { CONNECT_REPLIES, type ConnectReplySetting } from './connect-reply.ts';
import { type Server, serverFields, serverSettings, serversOf, withUrl } from './servers.ts';
import type { PortRange } from './udp/associate.ts';

/** What ss-local runs with. Times in milliseconds. */
export interface ClientConfig extends CommonConfig {
  readonly listen: readonly { readonly host: string; readonly port: number }[];
  /** At least one. */
  readonly servers: readonly Server[];
  /** Who may use the SOCKS port; empty: everybody who reaches it. */
  readonly socksUsers: readonly { readonly username: string; readonly password: string }[];
  /** When SOCKS clients get the reply to CONNECT. */
  readonly connectReply: ConnectReplySetting;
  /** Carry UDP in TCP connections. */
  readonly udpOverTcp: boolean;
  /** What UDP ASSOCIATE tells clients to send to, where it is not what they have connected to. */
  readonly udpAdvertise?: string;
  /** Ports for UDP ASSOCIATE to choose from; default: any that is free. */
  readonly udpPorts?: PortRange;
}

export interface LoadedClient extends Preamble {
  readonly config: ClientConfig;
}

const DEFAULT_LISTEN = { host: '127.0.0.1', port: 1080 };
const DEFAULTS = { handshakeTimeout: 10_000, drainTimeout: 5_000 };

/** The command line of ss-local, in the order of its help. */
export const CLIENT_SETTINGS = {
  ...serverSettings,
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
  connectReply: single(
    { flags: '--connect-reply <when>', env: 'SS_CONNECT_REPLY' },
    'auto: when the target was reached, if the server tells; early: at once (default: auto)',
    oneOf(CONNECT_REPLIES),
  ),
  udpOverTcp: toggle('--udp-over-tcp', 'carry UDP inside of TCP connections, where no UDP gets through; includes -u'),
  udpAdvertise: single(
    { flags: '--udp-advertise <address>', env: 'SS_UDP_ADVERTISE' },
    'address that clients are told to send UDP to (default: the one that they have connected to)',
    parseIpAddress,
  ),
  udpPorts: single(
    { flags: '--udp-ports <from-to>', env: 'SS_UDP_PORTS' },
    'ports that clients are told to send UDP to, one for each association (default: any)',
    parsePortRange,
  ),
  drainTimeout: drainTimeoutSetting(DEFAULTS.drainTimeout),
  ...commonSettings,
} satisfies Settings;

const FILE_FIELDS = {
  ...commonFields,
  ...serverFields,
  local_address: texts(parseListenHost),
  local_port: number(parseListenPort),
  protocol: text(oneOf(['socks'])),
  connect_reply: text(oneOf(CONNECT_REPLIES)),
  udp_over_tcp: yesOrNo,
  udp_advertise: text(parseIpAddress),
  udp_ports: text(parsePortRange),
  socks_users: records({ username: text(asText), password: secret }),
} satisfies Fields;

const FOREIGN: ForeignFields = {
  noEffect: {
    local_ipv4_address: 'it belongs to ss-server',
    local_ipv6_address: 'it belongs to ss-server',
    // Only where it is not a field of its own: in an entry of "servers".
    timeout: 'it is one for all servers, outside of "servers"',
    udp_max_associations: 'an association lasts as long as the connection that asked for it; see "max_connections"',
    udp_timeout: 'an association lasts as long as the connection that asked for it',
  },
  refused: {
    socks5_auth_config_path: 'it is not read; use "socks_users"',
    ...Object.fromEntries(
      ['allow', 'deny', 'policy', 'policy_default', 'dns_search', 'dns_ndots'].map(name => [
        name,
        'it belongs to ss-server; put it into its file',
      ]),
    ),
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
  const servers = serversOf(flags, environment, file);
  const { mode, udpOverTcp } = udpOf([flags, environment, file], servers[0]!.mode);
  const common = commonConfig({ ...given, ...(mode && { mode }) }, DEFAULTS, { warn, nodeVersion });
  if (!carriesUdp(common.mode)) {
    for (const idle of [given.udpAdvertise, given.udpPorts]) {
      if (idle) warn(`${idle.from}: has no effect without UDP; add -u, or leave it out`);
    }
  }
  const config: ClientConfig = {
    listen: hosts.map(host => ({ host, port: given.localPort?.value ?? DEFAULT_LISTEN.port })),
    servers,
    socksUsers: socksUsersOf({ ...environment, ...flags }, file, warn),
    connectReply: given.connectReply?.value ?? 'auto',
    udpOverTcp,
    ...(given.udpAdvertise && { udpAdvertise: given.udpAdvertise.value }),
    ...(given.udpPorts && { udpPorts: given.udpPorts.value }),
    ...common,
  };
  if (given.localAddress) warnIfOpen(config, given.localAddress.from, warn);
  for (const server of config.servers) backendFor(server.method, common.cryptoBackend);
  return {
    config,
    logLevel: given.logLevel?.value ?? 'info',
    ...(given.logFormat && { logFormat: given.logFormat.value }),
    warnings,
  };
}

/**
 * UDP over TCP is of use with UDP only, and without another word says that there shall be some. Where one source says the
 * contrary of another, the higher one counts.
 *
 * @param layers highest precedence first.
 * @param ofServer what the first server's entry says, below all of them.
 */
function udpOf(
  layers: readonly Pick<Given, 'mode' | 'udpOverTcp'>[],
  ofServer: Sourced<Mode> | undefined,
): { readonly mode: Sourced<Mode> | undefined; readonly udpOverTcp: boolean } {
  let mode: Sourced<Mode> | undefined;
  let overTcp: Sourced<boolean> | undefined;
  for (const layer of [...layers, { mode: ofServer, udpOverTcp: undefined }]) {
    const isUndecided = mode === undefined && overTcp === undefined;
    const contradicts = layer.mode?.value === 'tcp_only' && (layer.udpOverTcp?.value ?? overTcp?.value);
    if (contradicts && isUndecided) {
      throw wrong(`${layer.udpOverTcp?.from}: carries UDP, and ${layer.mode?.from} says tcp_only; leave one out`);
    }
    if (!contradicts) mode ??= layer.mode;
    if (mode?.value !== 'tcp_only') overTcp ??= layer.udpOverTcp;
  }
  const udpOverTcp = overTcp?.value ?? false;
  return { mode: mode ?? (udpOverTcp ? { value: 'tcp_and_udp', from: overTcp!.from } : undefined), udpOverTcp };
}

function parseIpAddress(text: string): string {
  if (isIP(text)) return text;
  throw wrong('is not an IP address; give the one under which clients reach this machine');
}

function parsePortRange(text: string): PortRange {
  const [, first, last] = /^(\d+)(?:-(\d+))?$/.exec(text) ?? [];
  const range = { from: Number(first), to: Number(last ?? first) };
  if (range.from >= 1 && range.from <= range.to && range.to <= 0xffff) return range;
  throw wrong('is no range of ports; give the first and the last, such as 40000-40099');
}

function parseListenHost(text: string): string {
  const { host, port } = parseHost(text);
  if (port === undefined) return host;
  throw wrong('is an address with a port; give the port as -l (--local-port) or "local_port"');
}

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet('127.0.0.0', 8);
LOOPBACK.addAddress('::1', 'ipv6');

const isLoopback = (host: string): boolean =>
  host === 'localhost' || LOOPBACK.check(host, isIPv6(host) ? 'ipv6' : 'ipv4');

/** Warns where others than this machine may come in, and nobody asks who they are. */
function warnIfOpen({ listen, socksUsers }: ClientConfig, from: string, warn: Warn): void {
  const open = listen.filter(({ host }) => !isLoopback(host)).map(formatTarget);
  if (open.length === 0 || socksUsers.length > 0) return;
  warn(
    `${from}: anyone who can reach ${open.join(', ')} can use the tunnel; ` +
      'give "socks_users" or --socks-username, or listen for this machine only: -b 127.0.0.1',
  );
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
