import type { Endpoint } from '@podsocks/shared/net/listener';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { printWarnings, type Running, type Surroundings } from '@podsocks/shared/runtime/lifecycle';
import { createLogger, type Logger } from '@podsocks/shared/runtime/log';
import { formatTarget } from '@podsocks/shared/wire/address';
import type { ClientConfig, LoadedClient } from '../config.ts';
import type { ClientStatus } from '../status/client-status.ts';
import type { Access, ProxyEndpoint } from './proxy-endpoint.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** commander's `opts()` of the program. */
export type Flags = Readonly<Record<string, unknown>>;

/** How a running ss-local is found. */
export interface FindInstance {
  /** Where one with these flags would listen, and what it would ask for. */
  readonly loadLocal: (
    flags: Flags,
    env: Environment,
  ) => { readonly endpoint: Endpoint; readonly access: Access | undefined };
  /** Undefined: none is there. */
  readonly fetchStatus: (endpoint: Endpoint, access?: Access) => Promise<ClientStatus | undefined>;
}

/** How one is found or started. */
export interface FindOrStart extends FindInstance {
  readonly loadClient: (flags: Flags, env: Environment) => LoadedClient;
  readonly start: (
    config: ClientConfig,
    deps: { readonly log: Logger },
  ) => Promise<Running & { readonly addresses: readonly Endpoint[] }>;
}

/** A proxy for as long as a program runs. */
export interface LentProxy {
  readonly proxy: ProxyEndpoint;
  close(): Promise<void>;
}

/** What says by itself which servers are meant. */
const SERVER_FLAGS = ['url', 'server', 'serversUrl', 'serversFile', 'config'] as const;
const SERVER_VARIABLES = ['SS_URL', 'SS_SERVER', 'SS_SERVERS_URL', 'SS_SERVERS_FILE', 'SS_CONFIG'] as const;

/**
 * Flags that leave open who does it. All others are for an instance of its own, since the one that is there would not do what
 * they say: `ss-local -L 5432:db:5432 run -- psql -h 127.0.0.1`.
 */
const FOR_ANY: ReadonlySet<string> = new Set([
  ...SERVER_FLAGS,
  ...['serverPort', 'method', 'password', 'passwordFile'],
  ...['localAddress', 'localPort', 'socksUsername', 'socksPasswordFile'],
  ...['logLevel', 'logFormat', 'verbose'],
]);

/**
 * The instance that is there, unless something else than what it does is asked for; else one of our own, on loopback.
 *
 * @param name of the program, for its log.
 * @throws PodsocksError, also what `start` throws.
 */
export async function findOrStart(
  flags: Flags,
  env: Environment,
  surroundings: Surroundings,
  { loadLocal, fetchStatus, loadClient, start }: FindOrStart,
  name: string,
): Promise<LentProxy> {
  const { endpoint, access } = loadLocal(flags, env);
  const wantsMore = Object.keys(flags).some(flag => !FOR_ANY.has(flag));
  const isOwnPossible = saysServer(flags, env);
  const status = wantsMore
    ? undefined
    : await fetchStatus(endpoint, access).catch(error => {
        // One that asks for a password, and we have none, is somebody else's; and one of another version is of no use.
        const isWrongPassword = access !== undefined && error.code === 'ERR_DENIED';
        if (isOwnPossible && error instanceof PodsocksError && !isWrongPassword) return undefined;
        throw error;
      });
  const there: LentProxy = {
    proxy: { ...endpoint, ...(status?.asksForPassword && access && { access }) },
    close: () => Promise.resolve(),
  };
  if (status !== undefined && !isOwnPossible) return there;
  // The terminal is the program's; what there is to say of this one is said where somebody asks for it.
  const loaded = loadClient(flags, { ...env, SS_LOG_LEVEL: env.SS_LOG_LEVEL || 'warn' });
  const { config } = loaded;
  // What is in a list from elsewhere is not known yet.
  if (status !== undefined && config.document === undefined) {
    const known = new Set(status.servers.map(({ address }) => address));
    if (config.servers.every(server => known.has(formatTarget(server)))) return there;
  }
  printWarnings(name, loaded, surroundings);
  const log = createLogger({
    level: loaded.logLevel,
    format: loaded.logFormat ?? (surroundings.stderr.isTTY ? 'pretty' : 'json'),
    name,
    ...(surroundings.logTo && { destination: surroundings.logTo }),
  });
  const running = await start(ofItsOwn(config, flags), { log });
  const [user] = config.socksUsers;
  return { proxy: { ...running.addresses[0]!, ...(user && { access: user }) }, close: () => running.close() };
}

/**
 * A free port of loopback for this machine only, and of the other ports those that the command line names: what the file has
 * belongs to the instance that runs all day, and could not be had twice.
 */
function ofItsOwn(config: ClientConfig, flags: Flags): ClientConfig {
  const { lan: _lan, udpAdvertise: _address, udpPorts: _ports, dns, ...others } = config;
  return {
    ...others,
    listen: [{ host: '127.0.0.1', port: 0 }],
    forwards: flags.forward === undefined ? [] : config.forwards,
    maps: flags.map === undefined ? [] : config.maps,
    ...(flags.dns !== undefined && dns && { dns }),
  };
}

function saysServer(flags: Flags, env: Environment): boolean {
  return SERVER_FLAGS.some(flag => flags[flag] !== undefined) || SERVER_VARIABLES.some(name => env[name]);
}
