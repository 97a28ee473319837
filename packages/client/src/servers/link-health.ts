/** How a server does, as its probes tell. All times in milliseconds of a clock that never steps back. */
export type HealthState = 'unknown' | 'healthy' | 'unhealthy';

/** What a new round trip counts beside those before it. */
const WEIGHT = 0.2;

/** A server that has fallen of late has to stand for longer before it is trusted again: 1, 2, 4, … good probes. */
const FALL_REMEMBERED_MS = 600_000;
const MOST_PROBES_TO_TRUST = 16;

/** The health of one server. It knows no clock and no network: who probes tells it what came of that. */
export class LinkHealth {
  #state: HealthState = 'unknown';
  #reason: string | undefined;
  #roundTrip: number | undefined;
  #latency: number | undefined;
  #goodInARow = 0;
  #badInARow = 0;
  #falls: number[] = [];
  /** Whether it has just failed a connection, and nobody knows yet whether that was a single one. */
  isSuspect = false;

  get state(): HealthState {
    return this.#state;
  }

  /** Why it is unhealthy. */
  get reason(): string | undefined {
    return this.#reason;
  }

  /** Of the last good probe. */
  get roundTrip(): number | undefined {
    return this.#roundTrip;
  }

  /** The round trip of late, smoothed. */
  get latency(): number | undefined {
    return this.#latency;
  }

  /** Whether its latency is more than a first impression. */
  get isFamiliar(): boolean {
    return this.#goodInARow >= 2;
  }

  get badInARow(): number {
    return this.#badInARow;
  }

  /** Whether it has been healthy for long enough to be gone back to. */
  isTrusted(now: number): boolean {
    const falls = this.#falls.filter(at => now - at < FALL_REMEMBERED_MS).length;
    return this.#state === 'healthy' && this.#goodInARow >= Math.min(2 ** falls, MOST_PROBES_TO_TRUST);
  }

  /** It has answered. */
  good(roundTrip: number): void {
    const before = this.#state === 'healthy' ? this.#latency : undefined;
    // A first round trip has look-ups in it, and code that has not run before: twice what the next one takes is common.
    if (before === undefined) this.#latency = roundTrip;
    else if (!this.isFamiliar) this.#latency = Math.min(before, roundTrip);
    else this.#latency = before + WEIGHT * (roundTrip - before);
    this.#roundTrip = roundTrip;
    this.#state = 'healthy';
    this.#reason = undefined;
    this.#goodInARow++;
    this.#badInARow = 0;
    this.isSuspect = false;
  }

  /** It has not answered as it should. */
  bad(reason: string, now: number): void {
    if (this.#state === 'healthy') this.#falls = [...this.#falls.slice(1 - MOST_FALLS), now];
    this.#state = 'unhealthy';
    this.#reason = reason;
    this.#goodInARow = 0;
    this.#badInARow++;
    this.isSuspect = false;
  }

  /** What was known is of no use any more: this machine has slept, or is somewhere else. */
  forget(): void {
    this.#state = 'unknown';
    this.#reason = undefined;
    this.#latency = undefined;
    this.#goodInARow = 0;
    this.#badInARow = 0;
    this.#falls = [];
    this.isSuspect = false;
  }
}

const MOST_FALLS = Math.log2(MOST_PROBES_TO_TRUST);
