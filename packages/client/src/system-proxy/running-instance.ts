import type { Endpoint } from '@podsocks/shared/net/listener';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import type { ClientStatus } from '../status/client-status.ts';

export type FetchStatus = (endpoint: Endpoint) => Promise<ClientStatus | undefined>;

/** What is known of an ss-local that may run. */
export interface RunningInstance {
  readonly answers: boolean;
  /** For a user name and a password. */
  readonly asks: boolean;
  readonly status?: ClientStatus;
}

/** Asks it. One that does not tell its status without a password is one that answers, too. */
export async function askInstance(at: Endpoint, fetchStatus: FetchStatus): Promise<RunningInstance> {
  try {
    const status = await fetchStatus(at);
    if (status === undefined) return { answers: false, asks: false };
    return { answers: true, asks: status.asksForPassword, status };
  } catch (error) {
    if (error instanceof PodsocksError && error.code === 'ERR_DENIED') return { answers: true, asks: true };
    throw error;
  }
}
