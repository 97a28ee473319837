import { type PLUGIN_SETTINGS, type PluginConfig, pluginEnvironment, pluginOf } from '@podsocks/shared/plugin/fields';
import { requireHarmlessOptions, requireKnownPlugin } from '@podsocks/shared/plugin/known-plugins';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import type { Layer, Sourced, Warn } from '@podsocks/shared/settings/settings';

/** What a source says of the plugin. */
export interface GivenPlugin {
  readonly plugin?: Sourced<string> | undefined;
  readonly pluginOpts?: Sourced<string> | undefined;
}

/** What of the configuration holds for servers that a list names. */
export interface PluginsOfList {
  /** Flags, and the environment: they hold for all servers. */
  readonly above: PluginLayer;
  /** The configuration file, for servers of which nothing else is said. */
  readonly below: PluginLayer;
  /** What they get. */
  readonly environment: Readonly<Record<string, string>>;
}

type PluginLayer = Layer<typeof PLUGIN_SETTINGS>;

/** @param environment of this process. */
export function pluginsOfList(
  above: GivenPlugin,
  below: GivenPlugin,
  environment: Readonly<Record<string, string | undefined>>,
): PluginsOfList {
  // Keys, ports and the like of the configuration are not for servers of others.
  const only = ({ plugin, pluginOpts }: GivenPlugin) => ({
    ...(plugin && { plugin }),
    ...(pluginOpts && { pluginOpts }),
  });
  return { above: only(above), below: only(below), environment: pluginEnvironment(environment) };
}

/** What the URL of a server says of its plugin, or its entry in a list. */
export interface OwnPlugin extends GivenPlugin {
  /** Whether others have written it: in a URL, or a list that was fetched. */
  readonly isForeign: boolean;
}

export interface PluginSources {
  /** Flags, and the environment: they hold for all servers. */
  readonly above: GivenPlugin;
  readonly own: OwnPlugin;
  /** The configuration file, for servers of which nothing else is said. */
  readonly below: GivenPlugin;
}

/**
 * The plugin of a server. `--plugin` beside a URL names the program, and its options stay; `--plugin ''` is to do without.
 *
 * @param environment of this process.
 * @throws PodsocksError ERR_CONFIG for options without a plugin, and where others name a program that is no known plugin, or an
 * option that is not theirs to give.
 */
export function serverPlugin(
  { above, own, below }: PluginSources,
  environment: Readonly<Record<string, string | undefined>>,
): PluginConfig | undefined {
  const hasOwn = Boolean(own.plugin?.value);
  const plugin = above.plugin ?? (hasOwn ? own.plugin : below.plugin);
  if (plugin !== undefined && plugin.value === '') return undefined;
  if (own.isForeign && plugin !== undefined && plugin === own.plugin) requireKnownPlugin(plugin.value, plugin.from);
  const pluginOpts = above.pluginOpts ?? (hasOwn ? own.pluginOpts : below.pluginOpts);
  if (own.isForeign && plugin !== undefined && pluginOpts !== undefined && pluginOpts === own.pluginOpts) {
    const named = own.plugin?.value ?? '';
    requireHarmlessOptions({ command: plugin.value, named, options: pluginOpts.value }, pluginOpts.from);
  }
  return pluginOf({ ...(plugin && { plugin }), ...(pluginOpts && { pluginOpts }) }, environment);
}

/** What of the configuration has to do with plugins. */
export interface BesidePlugins {
  readonly servers: readonly { readonly plugin?: PluginConfig | undefined }[];
  /** Whether there are datagrams to be sent. */
  readonly hasUdp: boolean;
  readonly udpOverTcp: boolean;
  /** What named the proxy by which servers are reached. */
  readonly upstream?: { readonly from: string } | undefined;
}

/**
 * Sees to what goes past a plugin.
 *
 * @throws PodsocksError ERR_CONFIG beside a proxy by which servers are to be reached: plugins connect by themselves.
 */
export function checkPlugins({ servers, hasUdp, udpOverTcp, upstream }: BesidePlugins, warn: Warn): void {
  const from = servers.find(({ plugin }) => plugin !== undefined)?.plugin?.from;
  if (from === undefined) return;
  if (upstream !== undefined) {
    throw new PodsocksError(
      'ERR_CONFIG',
      `${upstream.from}: a plugin (${from}) connects by itself, and not by a proxy; leave one of them out`,
    );
  }
  if (hasUdp && !udpOverTcp) {
    warn(`${from}: UDP goes past the plugin, directly to the server; to send it through as well, give --udp-over-tcp`);
  }
}
