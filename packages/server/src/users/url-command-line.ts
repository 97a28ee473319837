import type { Method } from '@podsocks/shared/crypto/methods';
import { envLayer, flagLayer, type Settings } from '@podsocks/shared/settings/settings';
import { SERVER_SETTINGS } from '../config.ts';

const { config, method, passwordFile, plugin, pluginOpts } = SERVER_SETTINGS;

/** Of the program's settings, those that the command has to have again. */
const KEPT_SETTINGS = { config, method, passwordFile, plugin, pluginOpts } satisfies Settings;

/** What a user's URL is asked for with. */
export interface UrlQuery {
  readonly name: string;
  /** The file of users. */
  readonly path: string;
  readonly method: Method;
  /** Whether something says what the server's key is. */
  readonly hasKey: boolean;
  readonly host: string | undefined;
  /** If it is not the server's own, or the default. */
  readonly port: string | undefined;
}

/**
 * The command that prints a user's URL, as a shell takes it. What is not known, or is a secret, is in capital letters, for
 * somebody to put in.
 *
 * @param parsed commander's `opts()` of the program.
 */
export function urlCommandLine(
  { name, path, method, hasKey, host, port }: UrlQuery,
  parsed: Readonly<Record<string, unknown>>,
  env: Readonly<Record<string, string | undefined>>,
): string {
  const given = { ...envLayer(KEPT_SETTINGS, env), ...flagLayer(KEPT_SETTINGS, parsed) };
  // A key on the command line is not repeated.
  const keyFile = parsed.password === undefined ? (given.passwordFile?.value ?? (hasKey ? undefined : 'FILE')) : 'FILE';
  const isFlagLike = name.startsWith('-');
  const words = [
    ...['ss-server', 'user', 'url', ...(isFlagLike ? [] : [name]), '--users', path],
    ...(given.config ? ['-c', given.config.value] : []),
    ...(given.method ? ['-m', given.method.value.name] : []),
    ...(method.generation === 'sip022' && keyFile !== undefined ? ['--password-file', keyFile] : []),
    // Options may hold secrets.
    ...(given.plugin ? ['--plugin', given.plugin.value] : []),
    ...(given.pluginOpts ? ['--plugin-opts', 'OPTIONS'] : []),
    ...['--host', host ?? 'HOST', ...(port === undefined ? [] : ['--port', port])],
    ...(isFlagLike ? ['--', name] : []),
  ];
  return words.map(quoted).join(' ');
}

/** A word for a POSIX shell. */
function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
