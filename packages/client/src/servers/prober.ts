import { preference } from './choice.ts';
import { isDue, PROBE_MS } from './probe-schedule.ts';
import type { ServerLink } from './server-link.ts';

export interface ProberOptions {
  readonly links: () => readonly ServerLink[];
  readonly active: () => ServerLink;
  /** When something was last asked of the server in use. */
  readonly usedAt: () => number;
  /** A clock that never steps back, in milliseconds. */
  readonly now: () => number;
  /** From 0 up to 1. */
  readonly random: () => number;
}

const MOST_AT_ONCE = 8;

/** Has servers probed when that is due, or when one is suspected. It has no timer: whoever has one calls it. */
export class Prober {
  readonly #options: ProberOptions;
  #closed = false;

  constructor(options: ProberOptions) {
    this.#options = options;
  }

  /** To be called every second or so, and when all was forgotten. */
  probeDue(): void {
    if (this.#closed) return;
    const { links, active, usedAt, now, random } = this.#options;
    const all = links();
    let busy = all.filter(link => link.isProbing).length;
    for (const link of preference(all, active())) {
      if (busy >= MOST_AT_ONCE) return;
      const isInUse = link === active() && usedAt() > link.probedAt;
      if (link.isProbing || !isDue(link, isInUse, all.length, now(), random())) continue;
      busy++;
      this.#probe(link);
    }
  }

  /** A server that has just answered is alive; one that has not for a while may be gone, and nobody would notice. */
  probeIfSilent(link: ServerLink): void {
    const since = this.#options.now() - PROBE_MS.silent;
    if (link.aliveAt <= since) this.#probeUnlessAfter(link, since);
  }

  /** It has just failed. */
  probeSuspect(link: ServerLink): void {
    this.#probeUnlessAfter(link, this.#options.now() - PROBE_MS.suspect);
  }

  close(): void {
    this.#closed = true;
  }

  #probeUnlessAfter(link: ServerLink, since: number): void {
    const isThere = this.#options.links().includes(link);
    if (isThere && !link.isProbing && link.probedAt <= since) this.#probe(link);
  }

  #probe(link: ServerLink): void {
    if (!this.#closed) void link.probe().then(() => this.probeDue());
  }
}
