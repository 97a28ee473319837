import type { Duplex } from 'node:stream';
import type { Target } from '@podsocks/shared/wire/address';

export interface OpenStreamOptions {
  /** Gives up what is not open yet. */
  readonly signal?: AbortSignal;
}

/**
 * Opens a stream to a target beyond a server, for protocols that a library speaks.
 *
 * @throws PodsocksError ERR_DIAL, ERR_TIMEOUT, ERR_DENIED or ERR_CLOSED; the message says what became of it.
 */
export type OpenStream = (target: Target, options?: OpenStreamOptions) => Promise<Duplex>;
