import { PodsocksError } from '../runtime/errors.ts';
import { SESSION_MEMORY_MS } from './datagram.ts';
import type { HeardSession } from './sip022-session.ts';
import type { SlidingWindow } from './sliding-window.ts';

/**
 * The sessions of one user that a server has closed while their last packets could still be replayed (SIP022 section
 * 3.2.4). Without it, whoever recorded a packet could wait until its session has made room for others, and give it again.
 */
export class ClosedSessions {
  readonly #windows = new Map<bigint, { readonly window: SlidingWindow; readonly until: number }>();

  /** Keeps what was seen of a session that is closed now. */
  add({ id, window, lastMs }: HeardSession, nowMs: number): void {
    this.#forgetOld(nowMs);
    const until = lastMs + SESSION_MEMORY_MS;
    if (until > nowMs) this.#windows.set(id, { window, until });
  }

  /** What was seen of the session, if its packets could still be replayed. */
  windowOf(id: bigint, nowMs: number): SlidingWindow | undefined {
    const found = this.#windows.get(id);
    return found !== undefined && found.until > nowMs ? found.window : undefined;
  }

  /**
   * Makes way for a session that begins, or goes on.
   *
   * @throws PodsocksError ERR_LIMIT when it begins and so many are remembered that it might be forgotten too early.
   */
  begin(id: bigint, nowMs: number): void {
    this.#forgetOld(nowMs);
    if (!this.#windows.delete(id) && this.#windows.size >= MOST) {
      throw new PodsocksError('ERR_LIMIT', `more than ${MOST} sessions of one user ended within a minute`);
    }
  }

  /** They are nearly in the order of their time; the few behind one that stays longer wait for it. */
  #forgetOld(nowMs: number): void {
    for (const [id, { until }] of this.#windows) {
      if (until > nowMs) return;
      this.#windows.delete(id);
    }
  }
}

/** Some 540 new sessions a second of one user, beyond those that a server keeps open; each takes about 0.8 kB. */
const MOST = 32_768;
