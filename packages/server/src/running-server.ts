import { backendFor, describeBackend } from '@podsocks/shared/crypto/backends';
import type { Endpoint } from '@podsocks/shared/net/listener';
import type { Running } from '@podsocks/shared/runtime/lifecycle';
import type { Logger } from '@podsocks/shared/runtime/log';
import { formatTarget } from '@podsocks/shared/wire/address';
import type { ServerConfig } from './config.ts';
import type { Limits } from './limits.ts';

/** ss-server, in one process or in several. */
export interface RunningServer extends Running {
  readonly addresses: readonly Endpoint[];
  /** Where the admin listener is, if there is one. */
  readonly admin?: Endpoint | undefined;
}

/** The first line of the log: what runs, and where. */
export function logStart(
  log: Logger,
  { method, users, cryptoBackend: choice, mode }: ServerConfig,
  numbers: Limits & { readonly workers?: number },
  addresses: readonly Endpoint[],
): void {
  const cryptoBackend = describeBackend(backendFor(method, choice), choice);
  log.info(
    { method: method.name, mode, users: users.length, cryptoBackend, ...numbers },
    `listening on ${addresses.map(formatTarget).join(', ')}`,
  );
}
