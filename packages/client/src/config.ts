import { backendFor } from '@podsocks/shared/crypto/backends';
import type { Endpoint } from '@podsocks/shared/net/listener';
import { PLUGIN_FOREIGN_FIELDS } from '@podsocks/shared/plugin/fields';
import type { Preamble } from '@podsocks/shared/runtime/lifecycle';
import {
  type CommonConfig,
  commonConfig,
  commonSettings,
  drainTimeoutSetting,
  folded,
} from '@podsocks/shared/settings/common-config';
import { type FileLayer, readConfigFile } from '@podsocks/shared/settings/config-file';
import { commonFields, type Fields, text } from '@podsocks/shared/settings/fields';
import type { ForeignFields } from '@podsocks/shared/settings/foreign-fields';
import { carriesTcp, carriesUdp } from '@podsocks/shared/settings/mode';
import { envLayer, flagLayer, type Settings, single } from '@podsocks/shared/settings/settings';
import { oneOf } from '@podsocks/shared/settings/values';
import type { Target } from '@podsocks/shared/wire/address';
import { CONNECT_REPLIES, type ConnectReplySetting } from './connect-reply.ts';
import { DNS_SETTINGS, type DnsConfig, dnsFields, dnsOf } from './dns/fields.ts';
import { checkMaps, FORWARD_SETTINGS, type Forward, forwardFields, warnOfOpenForwards } from './forward/fields.ts';
import { checkPlaces } from './forward/places.ts';
import type { LanSettings } from './listen/client-gate.ts';
import { LISTEN_SETTINGS, listenFields, listenOf, localEndpointOf } from './listen/fields.ts';
import { checkPlugins, type PluginsOfList, pluginsOfList } from './plugin/server-plugin.ts';
import { ROUTE_SETTINGS, routeFields, routeOf } from './routing/fields.ts';
import type { RouteSettings } from './routing/router.ts';
import { type PoolSettings, poolOf } from './servers/fields.ts';
import { type Server, serverFields, serverSettings, serversOf, withUrl } from './servers.ts';
import { SOCKS_USER_SETTINGS, socksUserFields, socksUsersOf } from './socks-user-fields.ts';
import type { SocksUser } from './socks-users.ts';
import type { PortRange } from './udp/associate.ts';
import { UDP_SETTINGS, udpFields, udpOf } from './udp/fields.ts';

/** What ss-local runs with. Times in milliseconds. */
export interface ClientConfig extends CommonConfig, PoolSettings {
  readonly listen: readonly Endpoint[];
  /** Other machines that may come in; undefined: all that can reach the port. */
  readonly lan?: LanSettings;
  /** At least one, unless there is a `document`. */
  readonly servers: readonly Server[];
  /** What holds for servers that a `document` names. */
  readonly listPlugins?: PluginsOfList;
  /** Who may use the SOCKS port; empty: everybody who reaches it. */
  readonly socksUsers: readonly SocksUser[];
  /** When SOCKS clients get the reply to CONNECT. */
  readonly connectReply: ConnectReplySetting;
  /** Carry UDP in TCP connections. */
  readonly udpOverTcp: boolean;
  /** What UDP ASSOCIATE tells clients to send to, where it is not what they have connected to. */
  readonly udpAdvertise?: string;
  /** Ports for UDP ASSOCIATE to choose from; default: any that is free. */
  readonly udpPorts?: PortRange;
  /** What goes where. */
  readonly route: RouteSettings;
  /** The local DNS server, where there is to be one. */
  readonly dns?: DnsConfig;
  /** Ports that stand for a target. */
  readonly forwards: readonly Forward[];
  /** Names that get an address of their own. */
  readonly maps: readonly Target[];
}

export interface LoadedClient extends Preamble {
  readonly config: ClientConfig;
}

const DEFAULTS = { handshakeTimeout: 10_000, drainTimeout: 5_000 };

/** The command line of ss-local, in the order of its help. */
export const CLIENT_SETTINGS = {
  ...serverSettings,
  ...LISTEN_SETTINGS,
  ...SOCKS_USER_SETTINGS,
  connectReply: single(
    { flags: '--connect-reply <when>', env: 'SS_CONNECT_REPLY' },
    'auto: when the target was reached, if the server tells; early: at once (default: auto)',
    oneOf(CONNECT_REPLIES),
  ),
  ...UDP_SETTINGS,
  ...ROUTE_SETTINGS,
  ...FORWARD_SETTINGS,
  ...DNS_SETTINGS,
  drainTimeout: drainTimeoutSetting(DEFAULTS.drainTimeout),
  ...commonSettings,
} satisfies Settings;

const FILE_FIELDS = {
  ...commonFields,
  ...serverFields,
  ...listenFields,
  protocol: text(oneOf(['socks'])),
  connect_reply: text(oneOf(CONNECT_REPLIES)),
  ...udpFields,
  ...socksUserFields,
  ...routeFields,
  ...forwardFields,
  ...dnsFields,
} satisfies Fields;

const FOREIGN: ForeignFields = {
  noEffect: {
    local_ipv4_address: 'it belongs to ss-server',
    local_ipv6_address: 'it belongs to ss-server',
    // Only where it is not a field of its own: in an entry of "servers".
    timeout: 'it is one for all servers, outside of "servers"',
    udp_max_associations: 'an association lasts as long as the connection that asked for it; see "max_connections"',
    udp_timeout: 'an association lasts as long as the connection that asked for it',
    ...Object.fromEntries(
      ['forward_address', 'forward_port', 'tunnel_address', 'tunnel_port'].map(name => [name, 'use "forwards"']),
    ),
  },
  refused: {
    ...PLUGIN_FOREIGN_FIELDS,
    socks5_auth_config_path: 'it is not read; use "socks_users"',
    online_config: 'it has another name here; use "servers_url"',
    outbound_proxy: 'it has another name here; use "upstream"',
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

  const servers = serversOf(flags, environment, file, env);
  const { mode, udpOverTcp: asksForTcp } = udpOf([flags, environment, file], servers[0]?.mode);
  const common = commonConfig({ ...given, ...(mode && { mode }) }, DEFAULTS, { warn, nodeVersion });
  if (!carriesUdp(common.mode)) {
    for (const idle of [given.udpAdvertise, given.udpPorts]) {
      if (idle) warn(`${idle.from}: has no effect without UDP; add -u, or leave it out`);
    }
  }
  const forwards = given.forward ?? file.forwards;
  const maps = given.map ?? file.maps;
  if (!carriesTcp(common.mode)) {
    const isTcp = forwards?.value.some(({ protocol }) => protocol === 'tcp');
    for (const idle of [maps, given.dns?.value && given.dns, isTcp ? forwards : undefined]) {
      if (idle) warn(`${idle.from}: needs TCP, and the mode is ${common.mode}; leave one of them out`);
    }
  }
  const socksUsers = socksUsersOf({ ...environment, ...flags }, file, warn);
  const { listen, lan } = listenOf(given, socksUsers.length > 0, warn);
  checkMaps(maps);
  checkPlaces({ socks: listen, forwards, maps, dns: given.dns });
  if (!lan) warnOfOpenForwards(forwards, warn);
  const dns = dnsOf(given, warn);
  const pool = poolOf([flags, environment, file]);
  // Whatever the mode is, a UDP forward sends datagrams.
  const hasUdp = carriesUdp(common.mode) || (forwards?.value.some(({ protocol }) => protocol === 'udp') ?? false);
  // Proxies carry TCP only.
  const udpOverTcp = asksForTcp || (hasUdp && pool.upstream !== undefined);
  checkPlugins({ servers, hasUdp, udpOverTcp, upstream: given.upstream }, warn);
  const config: ClientConfig = {
    listen,
    ...(lan && { lan }),
    servers,
    ...pool,
    ...(pool.document && { listPlugins: pluginsOfList({ ...environment, ...flags }, file, env) }),
    socksUsers,
    connectReply: given.connectReply?.value ?? 'auto',
    udpOverTcp,
    ...(given.udpAdvertise && { udpAdvertise: given.udpAdvertise.value }),
    ...(given.udpPorts && { udpPorts: given.udpPorts.value }),
    route: routeOf({ ...given, routes: file.routes }, warn),
    forwards: forwards?.value ?? [],
    maps: maps?.value ?? [],
    ...(dns && { dns }),
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

/**
 * Where a running ss-local with these settings would be found, and what it would ask for.
 *
 * @throws PodsocksError ERR_USAGE or ERR_CONFIG.
 */
export function loadLocal(
  parsed: Readonly<Record<string, unknown>>,
  env: Readonly<Record<string, string | undefined>>,
): { readonly endpoint: Endpoint; readonly access: SocksUser | undefined } {
  const ignore = () => {};
  const flags = flagLayer(CLIENT_SETTINGS, parsed);
  const environment = envLayer(CLIENT_SETTINGS, env);
  const path = (flags.config ?? environment.config)?.value;
  const file: File = path === undefined ? {} : readConfigFile(path, FILE_FIELDS, FOREIGN, ignore);
  const [access] = socksUsersOf({ ...environment, ...flags }, file, ignore);
  return { endpoint: localEndpointOf({ ...file, ...environment, ...flags }), access };
}
