import { atMostEvery } from '../runtime/at-most-every.ts';
import type { Logger } from '../runtime/log.ts';
import { formatTarget } from '../wire/address.ts';
import { DROP_REASONS, type DropReason } from './datagram-counts.ts';
import type { Origin } from './datagram-socket.ts';

/** A datagram that went no further. */
export interface Drop {
  readonly reason: DropReason;
  /** Where it is known. */
  readonly client?: Origin | undefined;
  /** Where it is known. */
  readonly user?: string | undefined;
}

const LOG_INTERVAL_MS = 10_000;

/** Logs drops, each reason at most every ten seconds: anyone can send as many datagrams as the line carries. */
export function dropLog(log: Logger): (drop: Drop) => void {
  const reports = new Map<DropReason, (drop: Drop) => void>();
  const reportOf = (reason: DropReason) => {
    const report = atMostEvery<Drop>(LOG_INTERVAL_MS, (count, { client, user }) =>
      log.warn(
        { count, reason, ...(client && { client: formatOrigin(client) }), ...(user !== undefined && { user }) },
        `datagram dropped: ${DROP_REASONS[reason]}`,
      ),
    );
    reports.set(reason, report);
    return report;
  };
  return drop => (reports.get(drop.reason) ?? reportOf(drop.reason))(drop);
}

/** `address:port`, for logs. */
export function formatOrigin({ address, port }: Origin): string {
  return formatTarget({ host: address, port });
}
