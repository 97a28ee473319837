import { type ErrorCode, PodsocksError } from '@podsocks/shared/runtime/errors';

/** Why a connection did not become a user's. Labels of metrics, so they are stable. */
export const STRANGER_REASONS = [
  'authentication',
  'header',
  'replay',
  'timestamp',
  'truncated',
  'timeout',
  'limit',
  'other',
] as const;

export type StrangerReason = (typeof STRANGER_REASONS)[number];

/** Connections whose request was refused, or never came. */
export class StrangerCounts {
  readonly refused: Record<StrangerReason, number> = {
    authentication: 0,
    header: 0,
    replay: 0,
    timestamp: 0,
    truncated: 0,
    timeout: 0,
    limit: 0,
    other: 0,
  };

  /** @param error why. */
  refuse(error: unknown): void {
    this.refused[(error instanceof PodsocksError ? REASONS[error.code] : undefined) ?? 'other']++;
  }
}

const REASONS: Partial<Record<ErrorCode, StrangerReason>> = {
  ERR_AUTHENTICATION: 'authentication',
  ERR_HEADER: 'header',
  ERR_ADDRESS: 'header',
  ERR_REPLAY: 'replay',
  ERR_TIMESTAMP: 'timestamp',
  ERR_TRUNCATED: 'truncated',
  // The same a moment later: it went while the other workers were asked whether they know its request.
  ERR_CLOSED: 'truncated',
  ERR_TIMEOUT: 'timeout',
  ERR_LIMIT: 'limit',
};
