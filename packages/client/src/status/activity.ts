import type { Traffic } from '@podsocks/shared/net/traffic';
import type { ClientStatus, FailureStatus } from './client-status.ts';

/** Failures that are remembered. */
const MOST_FAILURES = 20;

/** Rates are those of the last two such spans at most, in milliseconds. */
const SPAN_MS = 5_000;

/** One connection of a program's, from its request to its end. */
export interface Transfer {
  /** Is added to as bytes go through. */
  readonly traffic: Traffic;
  /** It is over. */
  close(): void;
}

/** What went through ss-local: numbers for its status, none of them counted byte by byte. */
export class Activity {
  readonly #open = new Set<Traffic>();
  readonly #failures: FailureStatus[] = [];
  readonly #ended = { bytesUp: 0, bytesDown: 0 };
  readonly #now: () => number;
  #total = 0;
  #failed = 0;
  /** Sums at the beginning of the span before this, and of this one. */
  #before: Sample;
  #last: Sample;

  /** @param now a clock that never steps back, in milliseconds. */
  constructor(now: () => number) {
    this.#now = now;
    this.#before = { at: now(), bytesUp: 0, bytesDown: 0 };
    this.#last = this.#before;
  }

  /** @param traffic of the connection, where somebody else counts it. */
  begin(traffic: Traffic = { bytesUp: 0, bytesDown: 0 }): Transfer {
    this.#open.add(traffic);
    this.#total++;
    return {
      traffic,
      close: () => {
        if (!this.#open.delete(traffic)) return;
        this.#ended.bytesUp += traffic.bytesUp;
        this.#ended.bytesDown += traffic.bytesDown;
      },
    };
  }

  /** A target that was not reached, or a connection that failed. */
  failed(failure: Omit<FailureStatus, 'at'>): void {
    this.#failed++;
    this.#failures.unshift({ at: new Date().toISOString(), ...failure });
    this.#failures.length = Math.min(this.#failures.length, MOST_FAILURES);
  }

  /** Whether there is a connection now. */
  get isInUse(): boolean {
    return this.#open.size > 0;
  }

  /** To be called every {@link SPAN_MS}. */
  sample(): void {
    this.#before = this.#last;
    this.#last = { at: this.#now(), ...this.#sum() };
  }

  status(): Pick<ClientStatus, 'connections' | 'bytes' | 'rates' | 'failures'> {
    const { bytesUp, bytesDown } = this.#sum();
    const seconds = Math.max(1, (this.#now() - this.#before.at) / 1000);
    return {
      connections: { open: this.#open.size, total: this.#total, failed: this.#failed },
      bytes: { up: bytesUp, down: bytesDown },
      rates: {
        up: Math.round((bytesUp - this.#before.bytesUp) / seconds),
        down: Math.round((bytesDown - this.#before.bytesDown) / seconds),
      },
      failures: [...this.#failures],
    };
  }

  #sum(): Traffic {
    const sum = { ...this.#ended };
    for (const { bytesUp, bytesDown } of this.#open) {
      sum.bytesUp += bytesUp;
      sum.bytesDown += bytesDown;
    }
    return sum;
  }
}

interface Sample extends Readonly<Traffic> {
  readonly at: number;
}

/** Calls `activity.sample` as often as it wants to be. @returns the interval, to be cleared. */
export function sampleRegularly(activity: Activity): NodeJS.Timeout {
  return setInterval(() => activity.sample(), SPAN_MS).unref();
}
