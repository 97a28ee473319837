import { type PluginConfig, pluginOf } from '@podsocks/shared/plugin/fields';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import type { Mode } from '@podsocks/shared/settings/mode';
import type { Sourced, Warn } from '@podsocks/shared/settings/settings';
import { formatTarget } from '@podsocks/shared/wire/address';

interface Given {
  readonly plugin?: Sourced<string>;
  readonly pluginOpts?: Sourced<string>;
  readonly proxyProtocol?: Sourced<boolean>;
  readonly reusePort?: Sourced<boolean>;
}

interface Listening {
  readonly mode: Mode;
  readonly listen: readonly { readonly host: string; readonly port: number }[];
  readonly reusePort: boolean;
}

/**
 * What of the configuration a plugin is, and changes: it listens where clients connect to.
 *
 * @throws PodsocksError ERR_CONFIG where it cannot.
 */
export function withPlugin<Config extends Listening>(
  config: Config,
  given: Given,
  environment: Readonly<Record<string, string | undefined>>,
  warn: Warn,
): Config & { readonly plugin?: PluginConfig } {
  const plugin: PluginConfig | undefined = pluginOf(given, environment);
  if (plugin === undefined) return config;
  if (config.mode === 'udp_only') {
    warn(`${plugin.from}: has no effect on UDP, and there is nothing else; leave it out`);
    return config;
  }
  if (given.proxyProtocol?.value) {
    throw wrong(
      `${given.proxyProtocol.from}: the header would come to the plugin (${plugin.from}), which knows nothing of it; ` +
        'leave one of them out',
    );
  }
  const anywhere = config.listen.find(({ port }) => port === 0);
  if (anywhere !== undefined) {
    throw wrong(`${plugin.from}: a plugin listens on ${formatTarget(anywhere)}, and cannot choose its port; give one`);
  }
  if (!config.reusePort) return { ...config, plugin };
  warn(`${given.reusePort?.from}: has no effect with a plugin, for it listens; leave it out`);
  return { ...config, plugin, reusePort: false };
}

function wrong(message: string): PodsocksError {
  return new PodsocksError('ERR_CONFIG', message);
}
