import type { User } from '@podsocks/shared/crypto/stream';
import { DROP_REASONS, type DropReason } from '@podsocks/shared/net/datagram-counts';
import type { Origin } from '@podsocks/shared/net/datagram-socket';
import { atMostEvery } from '@podsocks/shared/runtime/at-most-every';
import type { Logger } from '@podsocks/shared/runtime/log';
import { formatTarget } from '@podsocks/shared/wire/address';

/** A datagram that went no further. */
export interface Drop {
  readonly reason: DropReason;
  readonly client: Origin;
  /** Where it is known. */
  readonly user: User | undefined;
}

const LOG_INTERVAL_MS = 10_000;

/** Logs drops, each reason at most every ten seconds: anyone can send as many datagrams as the line carries. */
export function dropLog(log: Logger): (drop: Drop) => void {
  const reports = new Map<DropReason, (drop: Drop) => void>();
  const reportOf = (reason: DropReason) => {
    const report = atMostEvery<Drop>(LOG_INTERVAL_MS, (count, { client, user }) =>
      log.warn(
        { count, reason, client: formatOrigin(client), ...(user && { user: user.name }) },
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
