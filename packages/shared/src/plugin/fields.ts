import { PodsocksError } from '../runtime/errors.ts';
import { type Fields, text } from '../settings/fields.ts';
import type { ForeignFields } from '../settings/foreign-fields.ts';
import { type Settings, type Sourced, single } from '../settings/settings.ts';

/** A SIP003 plugin that is to run. */
export interface PluginConfig {
  /** The name of a program on PATH, or its path. */
  readonly command: string;
  /** As SIP003 has them; they may hold secrets. */
  readonly options?: string;
  /** The environment that it gets, beside what SIP003 puts into it. */
  readonly environment: Readonly<Record<string, string>>;
  /** What named it, for messages. */
  readonly from: string;
}

/** The flags of a plugin, and their variables. */
export const PLUGIN_SETTINGS = {
  plugin: single(
    { flags: '--plugin <name>', env: 'SS_PLUGIN' },
    'SIP003 plugin that TCP goes through: a program on PATH, or its path',
    parsePluginText,
  ),
  pluginOpts: single(
    { flags: '--plugin-opts <options>', env: 'SS_PLUGIN_OPTS' },
    'its options, such as obfs=http; other users may see them in the process list',
    parsePluginText,
  ),
} satisfies Settings;

// SIP008 documents have "plugin": "" everywhere, and some null.
const optionalText = text(parsePluginText)
  .nullable()
  .transform(given => given ?? '');

/** The fields of the configuration file, and of an entry of a list of servers. */
export const pluginFields = { plugin: optionalText, plugin_opts: optionalText } satisfies Fields;

/** What shadowsocks-rust has beside them. */
export const PLUGIN_FOREIGN_FIELDS = {
  plugin_args: 'plugins get no arguments here; put what it is to know into "plugin_opts"',
  plugin_mode: 'TCP goes through a plugin and UDP does not, as SIP003 has it; remove it',
} satisfies ForeignFields['refused'];

/**
 * The plugin that is asked for.
 *
 * @param environment of this process; see {@link pluginEnvironment}.
 * @returns undefined where none is, or one without a name, as SIP008 has it.
 * @throws PodsocksError ERR_CONFIG for options without a plugin.
 */
export function pluginOf(
  { plugin, pluginOpts }: { readonly plugin?: Sourced<string>; readonly pluginOpts?: Sourced<string> },
  environment: Readonly<Record<string, string | undefined>>,
): PluginConfig | undefined {
  if (plugin === undefined || plugin.value === '') {
    if (pluginOpts === undefined || pluginOpts.value === '') return undefined;
    throw new PodsocksError('ERR_CONFIG', `${pluginOpts.from}: there is no plugin for them; give one with --plugin`);
  }
  return {
    command: plugin.value,
    ...(pluginOpts?.value && { options: pluginOpts.value }),
    environment: pluginEnvironment(environment),
    from: plugin.from,
  };
}

/** All variables but those of podsocks and SIP003: the former hold passwords, the latter would be of another plugin. */
export function pluginEnvironment(
  environment: Readonly<Record<string, string | undefined>>,
): Readonly<Record<string, string>> {
  const entries = Object.entries(environment).filter(([name, value]) => value !== undefined && !/^SS_/i.test(name));
  return Object.fromEntries(entries as [string, string][]);
}

function parsePluginText(given: string): string {
  if (!/\p{Cc}/u.test(given)) return given;
  throw new PodsocksError('ERR_CONFIG', 'has a control character in it, such as a line break; leave it out');
}
