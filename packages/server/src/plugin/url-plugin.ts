import { clientPluginOf, programNames } from '@podsocks/shared/plugin/known-plugins';
import type { PluginParameter } from '@podsocks/shared/plugin/plugin-options';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { type Layer, type Settings, single } from '@podsocks/shared/settings/settings';
import { asText } from '@podsocks/shared/settings/values';

/** What clients are to run, where it does not follow from what the server runs. */
export const CLIENT_PLUGIN_SETTINGS = {
  clientPlugin: single(
    { flags: '--client-plugin <name>' },
    "plugin that clients need (default: what belongs to the server's)",
    asText,
  ),
  clientPluginOpts: single(
    { flags: '--client-plugin-opts <options>' },
    "its options (default: those of the server's that clients need, too)",
    asText,
  ),
} satisfies Settings;

/**
 * What clients need to reach a server with this plugin. The server's own options are never told as they are: they name its
 * files, and keys.
 *
 * @param own that of the server, if it has one.
 * @throws PodsocksError ERR_USAGE where that does not follow from it, and nobody says.
 */
export function clientPlugin(
  command: string,
  own: PluginParameter | undefined,
  { clientPlugin: name, clientPluginOpts: options }: Layer<typeof CLIENT_PLUGIN_SETTINGS>,
): PluginParameter | undefined {
  const derived = own && clientPluginOf(own);
  const plugin = name?.value ?? derived?.command;
  if (plugin === undefined) {
    if (own === undefined && options === undefined) return undefined;
    const what = own ? "what clients of the server's plugin need is not known" : 'there is no plugin for the options';
    const mend = 'say it with --client-plugin and --client-plugin-opts';
    throw new PodsocksError('ERR_USAGE', `${command}: ${what}; ${mend}`);
  }
  // Options belong to one plugin; those that were derived are not another's.
  const suits = derived !== undefined && programNames(derived.command, 'client').includes(plugin);
  const value = options?.value ?? (suits ? derived.options : undefined);
  return { command: plugin, ...(value && { options: value }) };
}
