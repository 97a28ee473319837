import type { RelayEnd } from '@podsocks/shared/net/relay';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import type { SessionEnd } from './session.ts';

/** How a session ended whose bytes a relay moved. */
export function relayEnd({ endedBy, error }: Pick<RelayEnd, 'endedBy' | 'error'>): SessionEnd {
  if (error === undefined) return endedBy ?? 'shutdown';
  if (!(error instanceof PodsocksError)) return endedBy === 'target' ? 'target-reset' : 'client-reset';
  if (error.code === 'ERR_TIMEOUT') return 'idle';
  return error.code === 'ERR_CLOSED' ? 'shutdown' : 'broken';
}
