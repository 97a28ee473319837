import { PodsocksError } from '../runtime/errors.ts';
import { type PluginParameter, pluginOptions } from './plugin-options.ts';

/** At which end of the tunnel a plugin is. */
export type PluginRole = 'client' | 'server';

interface KnownPlugin {
  /** What the program of each end is called, the name that upstream gives it first. */
  readonly programs: Readonly<Record<PluginRole, readonly string[]>>;
  readonly debianPackage?: string;
  /** Options of the server that its clients need, too; the others are its own business: certificates, logs, fail-over. */
  readonly shared: readonly string[];
  /**
   * Those of a client beside them that neither name a file nor an address, nor turn it into a server: v2ray-plugin and
   * xray-plugin let `localAddr`, `remoteAddr` and the like take the place of what SIP003 tells them.
   */
  readonly harmless: readonly string[];
}

const PLUGINS: readonly KnownPlugin[] = [
  {
    programs: { client: ['obfs-local', 'simple-obfs'], server: ['obfs-server'] },
    debianPackage: 'simple-obfs',
    shared: ['obfs', 'obfs-host', 'obfs-uri'],
    harmless: ['http-method', 'fast-open'],
  },
  {
    programs: { client: ['v2ray-plugin', 'ss-v2ray-plugin'], server: ['v2ray-plugin', 'ss-v2ray-plugin'] },
    debianPackage: 'shadowsocks-v2ray-plugin',
    shared: ['mode', 'tls', 'host', 'path', 'mux'],
    harmless: ['fast-open', 'loglevel'],
  },
  {
    programs: { client: ['xray-plugin'], server: ['xray-plugin'] },
    shared: ['mode', 'tls', 'host', 'path', 'mux', 'serviceName'],
    harmless: ['fast-open', 'loglevel'],
  },
];

/** The name of a program, of a path as well. */
function nameOf(command: string): string {
  return command.replace(/^.*[/\\]/, '');
}

function known(command: string): KnownPlugin | undefined {
  return PLUGINS.find(({ programs }) => [...programs.client, ...programs.server].includes(command));
}

/**
 * What the program may be called on this machine, likeliest first. Distributions rename them (Debian has `ss-v2ray-plugin`),
 * and URLs say `simple-obfs` where the program is `obfs-local`.
 */
export function programNames(command: string, role: PluginRole): readonly string[] {
  const names = known(command)?.programs[role] ?? [command];
  return names.includes(command) ? [command, ...names.filter(name => name !== command)] : names;
}

/** The package of Debian that has it. */
export function debianPackageOf(command: string): string | undefined {
  return known(command)?.debianPackage;
}

/**
 * A plugin that somebody else names, in a URL or a list of servers that was fetched: only what is known to be one is run. A
 * path could lead anywhere, and `poweroff` is a program, too.
 *
 * @param from the place, for the message.
 * @throws PodsocksError ERR_CONFIG.
 */
export function requireKnownPlugin(command: string, from: string): void {
  if (known(command) !== undefined) return;
  const all = PLUGINS.map(({ programs }) => programs.client[0]).join(', ');
  throw new PodsocksError(
    'ERR_CONFIG',
    `${from}: the server wants a plugin that is not one of ${all}, and a program that others name is not run unseen; ` +
      'if you trust it, name it yourself: --plugin',
  );
}

/**
 * Options that somebody else gives, in a URL or a list of servers that was fetched: only what a client needs. Others can make
 * a server of a plugin, which opens loopback to the network, or have it read files.
 *
 * @param plugin `command` is what runs; `named` is what they have named, whose options hold where nothing is known of that.
 * @param from the place, for the message.
 * @throws PodsocksError ERR_CONFIG that names the option, without its value.
 */
export function requireHarmlessOptions(
  { command, named, options }: { readonly command: string; readonly named: string; readonly options: string },
  from: string,
): void {
  const plugin = known(nameOf(command)) ?? known(named);
  const allowed = [...(plugin?.shared ?? []), ...(plugin?.harmless ?? [])];
  const other = pluginOptions(options).find(({ name }) => !allowed.includes(name));
  if (other === undefined) return;
  const name = JSON.stringify(other.name.replace(/\p{C}/gu, '').slice(0, MOST_SHOWN));
  throw new PodsocksError(
    'ERR_CONFIG',
    `${from}: the server's options for the plugin name ${name}, which only you may give: --plugin-opts`,
  );
}

const MOST_SHOWN = 32;

/**
 * The plugin that clients need for a server's.
 *
 * @returns undefined where that cannot be known.
 */
export function clientPluginOf({ command, options = '' }: PluginParameter): PluginParameter | undefined {
  const plugin = known(nameOf(command));
  if (plugin === undefined) return undefined;
  const shared = pluginOptions(options).filter(({ name }) => plugin.shared.includes(name));
  return {
    command: plugin.programs.client[0]!,
    ...(shared.length > 0 && { options: shared.map(({ text }) => text).join(';') }),
  };
}
