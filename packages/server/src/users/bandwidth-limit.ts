import type { Throttle, Throttled } from '@podsocks/shared/net/throttle';

/** What may go at once after a pause, as a time at full rate. */
const BURST_MS = 250;

/**
 * Of the rate, what datagrams get beside connections that wait, and no more: they cannot wait for their turn, and those that
 * keep coming would take what is paid back before a connection's turn comes.
 */
const DATAGRAM_SHARE = 1 / 8;

/** More would not fit a timer. */
const LONGEST_WAIT_MS = 60_000;

/**
 * What one user may send and receive a second: a token bucket for all of their sessions, both ways. Connections overdraw it
 * by one read, and then wait in turn until it is paid back; datagrams beyond it, or beyond their share while connections
 * wait, are dropped.
 */
export class BandwidthLimit implements Throttle {
  readonly #now: () => number;
  readonly #waiting = new Set<Throttled>();
  /** Bytes a millisecond. */
  #rate = Number.POSITIVE_INFINITY;
  #tokens = 0;
  #datagramTokens = 0;
  #filledAt: number;
  #timer: NodeJS.Timeout | undefined;
  #turn: NodeJS.Immediate | undefined;

  /**
   * @param bandwidth bytes a second; undefined: as many as there are.
   * @param now a clock that never steps back, in milliseconds.
   */
  constructor(bandwidth: number | undefined, now: () => number = () => performance.now()) {
    this.#now = now;
    this.#filledAt = now();
    this.set(bandwidth);
  }

  /** Changes it, for what is under way, too. */
  set(bandwidth: number | undefined): void {
    const rate = (bandwidth ?? Number.POSITIVE_INFINITY) / 1000;
    if (rate === this.#rate) return;
    this.#fill();
    this.#rate = rate;
    this.#tokens = rate === Number.POSITIVE_INFINITY ? 0 : rate * BURST_MS;
    this.#datagramTokens = this.#tokens * DATAGRAM_SHARE;
    this.#serve();
  }

  pass(bytes: number): boolean {
    if (this.#rate === Number.POSITIVE_INFINITY) return true;
    this.#fill();
    this.#tokens -= bytes;
    return this.#tokens > 0 && this.#waiting.size === 0;
  }

  /** @returns whether a datagram may pass; then it is counted. */
  passDatagram(bytes: number): boolean {
    if (this.#rate === Number.POSITIVE_INFINITY) return true;
    this.#fill();
    // While #turn is there, somebody who has waited is about to read.
    if (this.#tokens <= 0 || this.#waiting.size > 0 || this.#turn !== undefined) {
      if (this.#datagramTokens <= 0) return false;
      this.#datagramTokens -= bytes;
    }
    this.#tokens -= bytes;
    return true;
  }

  wait(throttled: Throttled): void {
    this.#waiting.add(throttled);
    if (this.#turn === undefined && this.#timer === undefined) this.#serve();
  }

  leave(throttled: Throttled): void {
    this.#waiting.delete(throttled);
  }

  /** Nobody waits any more. */
  close(): void {
    this.#waiting.clear();
    clearTimeout(this.#timer);
    clearImmediate(this.#turn);
  }

  #fill(): void {
    const now = this.#now();
    if (this.#rate !== Number.POSITIVE_INFINITY) {
      const added = (now - this.#filledAt) * this.#rate;
      const most = this.#rate * BURST_MS;
      this.#tokens = Math.min(most, this.#tokens + added);
      this.#datagramTokens = Math.min(most * DATAGRAM_SHARE, this.#datagramTokens + added * DATAGRAM_SHARE);
    }
    this.#filledAt = now;
  }

  /** Lets one go on after the other, each when the one before has had a turn of the event loop to read in. */
  readonly #serve = (): void => {
    clearTimeout(this.#timer);
    clearImmediate(this.#turn);
    this.#timer = undefined;
    this.#turn = undefined;
    this.#fill();
    const [first] = this.#waiting;
    if (first === undefined) return;
    if (this.#tokens <= 0 && this.#rate !== Number.POSITIVE_INFINITY) {
      const wait = Math.ceil((1 - this.#tokens) / this.#rate);
      this.#timer = setTimeout(this.#serve, Math.min(wait, LONGEST_WAIT_MS)).unref();
      return;
    }
    this.#turn = setImmediate(this.#serve); // before: it may have to wait again
    this.#waiting.delete(first);
    first.proceed();
  };
}
