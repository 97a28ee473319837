import { get } from 'node:http';
import type { Endpoint } from '@podsocks/shared/net/listener';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { formatTarget } from '@podsocks/shared/wire/address';
import { loadLocal } from './config.ts';
import { BASIC_CHALLENGE } from './http/basic-credentials.ts';
import type { SocksUser } from './socks-users.ts';
import type { ClientStatus } from './status/client-status.ts';
import { isStatus } from './status/status-shape.ts';
import { onUnaskedUpgrade } from './unasked-upgrade.ts';

/** What a status may take; there are never so many servers. */
const MAX_BYTES = 4 * 1024 * 1024;
const TIMEOUT_MS = 3_000;

const ASKS =
  'asks for a user name and password; give those of its "socks_users": --socks-username and --socks-password-file';

const OTHER_VERSION = 'is an ss-local of another version: start it anew, or choose another port (-l)';

/**
 * Where an ss-local with these flags, environment and file would listen; its loopback address if it does on all.
 *
 * @throws PodsocksError ERR_USAGE or ERR_CONFIG.
 */
export function localEndpoint(
  flags: Readonly<Record<string, unknown>>,
  env: Readonly<Record<string, string | undefined>>,
): Endpoint {
  return loadLocal(flags, env).endpoint;
}

/**
 * Asks a running ss-local how it is. The password goes only to one that asks for it, in the words of ss-local: anybody may have
 * taken the port, and other programs ask for passwords of their own.
 *
 * @returns undefined where nobody listens, or somebody else does.
 * @throws PodsocksError ERR_DENIED when it asks for another user name and password, ERR_HEADER for one of another version.
 */
export async function fetchStatus(endpoint: Endpoint, access?: SocksUser): Promise<ClientStatus | undefined> {
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  let answer = await ask(endpoint, signal);
  if (answer === 'denied' && access) answer = await ask(endpoint, signal, access);
  if (answer === 'denied') throw new PodsocksError('ERR_DENIED', `${formatTarget(endpoint)} ${ASKS}`);
  if (answer !== undefined && !isStatus(answer))
    throw new PodsocksError('ERR_HEADER', `${formatTarget(endpoint)} ${OTHER_VERSION}`);
  return answer;
}

function ask(
  { host, port }: Endpoint,
  signal: AbortSignal,
  access?: SocksUser,
): Promise<{ readonly ssLocal: unknown } | 'denied' | undefined> {
  return new Promise(resolve => {
    const none = () => resolve(undefined);
    const auth = access && { auth: `${access.username}:${access.password}` };
    const asked = get({ host, port, path: '/v1/status', agent: false, signal, ...auth }, async response => {
      let text = '';
      if (response.statusCode === 401) {
        response.destroy();
        resolve(response.headers['www-authenticate'] === BASIC_CHALLENGE ? 'denied' : undefined);
        return;
      }
      try {
        response.setEncoding('utf8');
        for await (const part of response) {
          text += part;
          if (text.length > MAX_BYTES) return none();
        }
        const status = JSON.parse(text) as { readonly ssLocal: unknown } | null;
        resolve(response.statusCode === 200 && status?.ssLocal !== undefined ? status : undefined);
      } catch {
        none();
      } finally {
        response.destroy();
      }
    });
    asked.on('error', none);
    onUnaskedUpgrade(asked, none);
  });
}
