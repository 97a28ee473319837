import type { LinkHealth } from './link-health.ts';

/** What decides when a server is probed next. */
export interface Probed {
  readonly health: Pick<LinkHealth, 'state' | 'badInARow' | 'isSuspect' | 'isFamiliar' | 'isTrusted'>;
  /** When its last probe ended, in milliseconds. */
  readonly probedAt: number;
  /** When it has last shown that it is alive. */
  readonly aliveAt: number;
}

/** Milliseconds between two probes of a server. */
export const PROBE_MS = {
  /** The one in use, while it is. */
  active: 10_000,
  others: 30_000,
  /** One that has been probed once. */
  new: 1_000,
  /** One that is on its way back. */
  recovering: 5_000,
  /** One that is down: at first, by how much more each time, and at most. */
  unhealthy: 5_000,
  unhealthyGrowth: 1.5,
  unhealthyMost: 30_000,
  /** One that has just failed a connection; a thousand of them may fail at a time. */
  suspect: 1_000,
  /** A server that was silent for so long is probed along with a request. */
  silent: 2_000,
} as const;

/** So many servers are probed in a second at most, however many there are. */
const MOST_A_SECOND = 0.5;

/**
 * Milliseconds from the last probe to the next one.
 *
 * @param isInUse whether it is the active one, and something has been asked of it since its last probe.
 * @param count how many servers there are.
 */
export function probeInterval({ health }: Probed, isInUse: boolean, count: number, now: number): number {
  if (health.isSuspect) return PROBE_MS.suspect;
  if (health.state === 'unknown') return 0;
  if (health.state === 'unhealthy') {
    const grown = PROBE_MS.unhealthy * PROBE_MS.unhealthyGrowth ** (health.badInARow - 1);
    return Math.min(grown, PROBE_MS.unhealthyMost);
  }
  if (!health.isFamiliar) return PROBE_MS.new;
  if (!health.isTrusted(now)) return PROBE_MS.recovering;
  return isInUse ? PROBE_MS.active : Math.max(PROBE_MS.others, (count / MOST_A_SECOND) * 1000);
}

/**
 * Whether a probe is due.
 *
 * @param jitter 0 to 1: so that many clients, and many servers of one, are not all busy at the same time.
 */
export function isDue(probed: Probed, isInUse: boolean, count: number, now: number, jitter: number): boolean {
  return now - probed.probedAt >= probeInterval(probed, isInUse, count, now) * (1 - JITTER / 2 + JITTER * jitter);
}

const JITTER = 0.2;
