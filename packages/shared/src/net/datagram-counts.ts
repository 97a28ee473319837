import type { ErrorCode, PodsocksError } from '../runtime/errors.ts';
import type { Traffic } from './traffic.ts';

/** Why a datagram went no further. Labels of logs and metrics, so they are stable. */
export const DROP_REASONS = {
  authentication: 'no key opens it',
  malformed: 'it is authentic but makes no sense',
  replay: 'it was seen before',
  timestamp: 'its clock is more than 30 s away',
  fragment: 'it is a part of a SOCKS datagram',
  stranger: 'it came from an address that was not asked',
  full: 'the associations are all in use',
  descriptors: 'no socket could be opened for it',
  denied: 'its target is not allowed',
  expired: 'its user has expired',
  limit: 'its user has no more of it: connections, or bandwidth',
  name: 'the name of its target was not found',
  busy: 'too many names are being looked up',
  congested: 'more is waiting than can be sent',
  'too-long': 'no datagram on its way may be as long',
  unreachable: 'it could not be sent',
} as const;

export type DropReason = keyof typeof DROP_REASONS;

/** What went through an association, or through all of a program. Bytes are those of the payload. */
export class DatagramCounts implements Traffic {
  /** Towards the target. */
  packetsUp = 0;
  bytesUp = 0;
  /** Towards the client. */
  packetsDown = 0;
  bytesDown = 0;
  readonly drops: Partial<Record<DropReason, number>> = {};
  readonly #total: DatagramCounts | undefined;

  /** @param total counts everything as well. */
  constructor(total?: DatagramCounts) {
    this.#total = total;
  }

  up(bytes: number): void {
    this.packetsUp++;
    this.bytesUp += bytes;
    this.#total?.up(bytes);
  }

  down(bytes: number): void {
    this.packetsDown++;
    this.bytesDown += bytes;
    this.#total?.down(bytes);
  }

  /** All of them, for a log. */
  passed(): Record<string, unknown> {
    const { packetsUp, bytesUp, packetsDown, bytesDown, drops } = this;
    return { packetsUp, bytesUp, packetsDown, bytesDown, drops };
  }

  drop(reason: DropReason): void {
    this.drops[reason] = (this.drops[reason] ?? 0) + 1;
    this.#total?.drop(reason);
  }
}

/** The reason for an error of a codec that was to open a datagram. */
export function codecDropReason({ code }: PodsocksError): DropReason {
  return CODEC_REASONS[code] ?? 'malformed';
}

const CODEC_REASONS: Partial<Record<ErrorCode, DropReason>> = {
  ERR_AUTHENTICATION: 'authentication',
  ERR_TRUNCATED: 'authentication',
  ERR_REPLAY: 'replay',
  ERR_TIMESTAMP: 'timestamp',
  ERR_LIMIT: 'full',
};

/** The reason for an error of a codec that was to write a datagram. */
export function sealDropReason({ code }: PodsocksError): DropReason {
  return code === 'ERR_LIMIT' ? 'too-long' : 'malformed';
}

/** The reason for an error of the system while sending. */
export function sendDropReason({ code }: NodeJS.ErrnoException): DropReason {
  if (code === 'EMSGSIZE') return 'too-long';
  return code === 'ENOBUFS' || code === 'ENOMEM' || code === 'EAGAIN' ? 'congested' : 'unreachable';
}
