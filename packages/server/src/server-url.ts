import type { Method } from '@podsocks/shared/crypto/methods';
import { formatPluginParameter, type PluginParameter } from '@podsocks/shared/plugin/plugin-options';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { flagLayer, type Settings, single } from '@podsocks/shared/settings/settings';
import { parseHost, parsePort } from '@podsocks/shared/settings/values';
import { formatSsUrl } from '@podsocks/shared/wire/ss-url';
import { CLIENT_PLUGIN_SETTINGS, clientPlugin } from './plugin/url-plugin.ts';

/** Under which address a URL has the server. */
export const URL_SETTINGS = {
  host: single({ flags: '--host <host>' }, 'name or address under which clients reach the server', parseHost),
  port: single(
    { flags: '--port <port>' },
    'port under which they do, such as the NodePort (default: its own)',
    parsePort,
  ),
  ...CLIENT_PLUGIN_SETTINGS,
} satisfies Settings;

/** A server as clients reach it. */
export interface PublicServer {
  readonly method: Method;
  readonly host: string;
  readonly port: number;
  /** What they need to reach it. */
  readonly plugin?: PluginParameter;
}

/**
 * The server that a URL is to lead to.
 *
 * @param server with the port that it listens on, and its own plugin.
 * @param parsed commander's options of a command with {@link URL_SETTINGS}.
 * @returns undefined where no host is given.
 * @throws PodsocksError ERR_USAGE without a port that clients could connect to, or where nobody knows what their plugin is.
 */
export function publicServer(
  command: string,
  { method, port: ownPort, plugin: own }: Omit<PublicServer, 'host'>,
  parsed: Readonly<Record<string, unknown>>,
): PublicServer | undefined {
  const given = flagLayer(URL_SETTINGS, parsed);
  if (!given.host) return undefined;
  const { host } = given.host.value;
  const port = given.host.value.port ?? given.port?.value ?? ownPort;
  const plugin = clientPlugin(command, own, given);
  if (port === 0) {
    throw new PodsocksError('ERR_USAGE', `${command}: the server takes any free port; say which with --port`);
  }
  return { method, host, port, ...(plugin && { plugin }) };
}

/** For a command that cannot do without a host. */
export function missingHost(command: string): PodsocksError {
  return new PodsocksError(
    'ERR_USAGE',
    `${command}: --host is missing; give the name or address that clients connect to`,
  );
}

/** Of the one whose password is the server's. */
export function serverUrl(server: PublicServer, password: string): string {
  return formatSsUrl({ ...urlParts(server), password });
}

/**
 * Of a user, who is its tag.
 *
 * @param main the server's own password, which is a part of it with identity headers (SIP023).
 */
export function userUrl(
  server: PublicServer,
  { name, password: own }: { readonly name: string; readonly password: string },
  main: string | undefined,
): string {
  const password = server.method.generation === 'sip022' ? `${main}:${own}` : own;
  return formatSsUrl({ ...urlParts(server), password, tag: name });
}

function urlParts({ method, host, port, plugin }: PublicServer) {
  return { method: method.name, host, port, ...(plugin && { plugin: formatPluginParameter(plugin) }) };
}
