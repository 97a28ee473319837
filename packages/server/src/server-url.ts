import type { Method } from '@podsocks/shared/crypto/methods';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { flagLayer, type Settings, single } from '@podsocks/shared/settings/settings';
import { parseHost, parsePort } from '@podsocks/shared/settings/values';
import { formatSsUrl } from '@podsocks/shared/wire/ss-url';

/** Under which address a URL has the server. */
export const URL_SETTINGS = {
  host: single({ flags: '--host <host>' }, 'name or address under which clients reach the server', parseHost),
  port: single(
    { flags: '--port <port>' },
    'port under which they do, such as the NodePort (default: its own)',
    parsePort,
  ),
} satisfies Settings;

/** A server as clients reach it. */
export interface PublicServer {
  readonly method: Method;
  readonly host: string;
  readonly port: number;
}

/**
 * The server that a URL is to lead to.
 *
 * @param parsed commander's options of a command with {@link URL_SETTINGS}.
 * @param ownPort what it listens on.
 * @returns undefined where no host is given.
 * @throws PodsocksError ERR_USAGE without a port that clients could connect to.
 */
export function publicServer(
  command: string,
  method: Method,
  parsed: Readonly<Record<string, unknown>>,
  ownPort: number,
): PublicServer | undefined {
  const given = flagLayer(URL_SETTINGS, parsed);
  if (!given.host) return undefined;
  const { host } = given.host.value;
  const port = given.host.value.port ?? given.port?.value ?? ownPort;
  if (port === 0) {
    throw new PodsocksError('ERR_USAGE', `${command}: the server takes any free port; say which with --port`);
  }
  return { method, host, port };
}

/** For a command that cannot do without a host. */
export function missingHost(command: string): PodsocksError {
  return new PodsocksError(
    'ERR_USAGE',
    `${command}: --host is missing; give the name or address that clients connect to`,
  );
}

/** Of the one whose password is the server's. */
export function serverUrl({ method, host, port }: PublicServer, password: string): string {
  return formatSsUrl({ method: method.name, host, port, password });
}

/**
 * Of a user, who is its tag.
 *
 * @param main the server's own password, which is a part of it with identity headers (SIP023).
 */
export function userUrl(
  { method, host, port }: PublicServer,
  { name, password: own }: { readonly name: string; readonly password: string },
  main: string | undefined,
): string {
  const password = method.generation === 'sip022' ? `${main}:${own}` : own;
  return formatSsUrl({ method: method.name, host, port, password, tag: name });
}
