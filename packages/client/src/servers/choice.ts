import type { LinkHealth } from './link-health.ts';

/** What is chosen among. */
export interface Candidate {
  readonly health: LinkHealth;
}

/** Another server is in use from now on, and why. */
export interface Switch<C> {
  readonly to: C;
  readonly because: 'unhealthy' | 'gone' | 'faster' | 'preferred';
}

/** A server is left for a faster one only when that is so much faster, in both of these ways. */
const FASTER_BY = 0.3;
const FASTER_BY_MS = 20;

/** One that comes first in the list is gone back to when it is no slower than this. */
const AS_FAST_WITHIN = 0.1;
const AS_FAST_WITHIN_MS = 10;

/** So many probes in a row have to say so. */
const PROBES_FOR_FASTER = 3;
const PROBES_FOR_PREFERRED = 2;

/** Milliseconds that a server is kept at least, unless it fails. */
const DWELL_MS = 30_000;

/**
 * Which server is in use. A healthy one before any other; of these the fastest, and where they are about as fast, the one
 * that comes first. It is changed at once when the server in use fails, and reluctantly for anything else.
 *
 * Knows no clock: times are milliseconds of one that never steps back.
 */
export class Choice<C extends Candidate> {
  #active: C;
  /** Whether every candidate has been heard of, if healthy twice, since the start, or since all was forgotten. */
  #isSettled = false;
  #switchedAt = Number.NEGATIVE_INFINITY;
  /** How many probes in a row have spoken for a candidate, and in which way. */
  readonly #streaks = new Map<C, { readonly because: 'faster' | 'preferred'; readonly probes: number }>();

  constructor(first: C) {
    this.#active = first;
  }

  get active(): C {
    return this.#active;
  }

  /** All has been forgotten; what is found next is chosen from as at the start. */
  unsettle(): void {
    this.#isSettled = false;
    this.#streaks.clear();
  }

  /**
   * Chooses anew, after something has changed.
   *
   * @param candidates in the order of preference, at least one.
   * @param probed whose probe has ended, if that is what has changed.
   * @returns the switch, if there is one.
   */
  decide(candidates: readonly C[], now: number, probed?: C): Switch<C> | undefined {
    if (!candidates.includes(this.#active)) return this.#switch(best(candidates, now) ?? candidates[0]!, 'gone', now);
    if (this.#active.health.state === 'unhealthy') {
      const to = best(candidates, now);
      return to && this.#switch(to, 'unhealthy', now);
    }
    if (!this.#isSettled) {
      if (candidates.some(({ health }) => health.state !== 'unhealthy' && !health.isFamiliar)) return undefined;
      this.#isSettled = true;
      const to = best(candidates, now)!;
      return to === this.#active ? undefined : this.#switch(to, 'faster', now);
    }
    return this.#reconsider(candidates, now, probed);
  }

  #reconsider(candidates: readonly C[], now: number, probed: C | undefined): Switch<C> | undefined {
    const trusted = candidates.filter(({ health }) => health.isTrusted(now) && !health.isSuspect);
    const fastest = Math.min(...[this.#active, ...trusted].map(({ health }) => health.latency ?? 0));
    const place = candidates.indexOf(this.#active);
    let found: Switch<C> | undefined;
    candidates.forEach((candidate, index) => {
      const because = trusted.includes(candidate) ? this.#reasonFor(candidate, index < place, fastest) : undefined;
      const streak = this.#streaks.get(candidate);
      if (because === undefined) {
        this.#streaks.delete(candidate);
        return;
      }
      const before = streak?.because === because ? streak.probes : 0;
      const probes = before + (probed === candidate ? 1 : 0);
      this.#streaks.set(candidate, { because, probes });
      const isEnough = probes >= (because === 'faster' ? PROBES_FOR_FASTER : PROBES_FOR_PREFERRED);
      if (isEnough && (found === undefined || isFaster(candidate, found.to))) found = { to: candidate, because };
    });
    if (found === undefined || now - this.#switchedAt < DWELL_MS) return undefined;
    return this.#switch(found.to, found.because, now);
  }

  /** @param fastest of all, in milliseconds: of three that are each a little slower than the next, the first is not as fast. */
  #reasonFor(candidate: C, comesFirst: boolean, fastest: number): 'faster' | 'preferred' | undefined {
    const { latency = Number.MAX_VALUE } = candidate.health;
    const isAsFast = latency <= fastest * (1 + AS_FAST_WITHIN) + AS_FAST_WITHIN_MS;
    if (comesFirst && isAsFast) return 'preferred'; // which takes fewer probes
    return isFaster(candidate, this.#active) ? 'faster' : undefined;
  }

  #switch(to: C, because: Switch<C>['because'], now: number): Switch<C> {
    this.#active = to;
    this.#switchedAt = now;
    this.#streaks.clear();
    return { to, because };
  }
}

/** Where to go when there is no reason to stay; undefined where nothing is better than anything else. */
function best<C extends Candidate>(candidates: readonly C[], now: number): C | undefined {
  const healthy = candidates.filter(({ health }) => health.state === 'healthy');
  const trusted = healthy.filter(({ health }) => health.isTrusted(now) && !health.isSuspect);
  const eligible = trusted.length > 0 ? trusted : healthy;
  // The first that no other is so much faster than.
  const first = eligible.find(candidate => !eligible.some(other => isFaster(other, candidate)));
  return first ?? candidates.find(({ health }) => health.state === 'unknown');
}

/** The order in which to try them for one connection, when `active` is in use. */
export function preference<C extends Candidate>(candidates: readonly C[], active: C): C[] {
  const rank = (candidate: C): number => {
    const { state, isSuspect } = candidate.health;
    if (state === 'unhealthy') return 5;
    if (isSuspect) return 4;
    return (state === 'healthy' ? 0 : 2) + (candidate === active ? 0 : 1);
  };
  const latency = ({ health }: C) => health.latency ?? Number.MAX_VALUE;
  return [...candidates].sort((one, other) => rank(one) - rank(other) || latency(one) - latency(other));
}

function isFaster(one: Candidate, other: Candidate): boolean {
  const [mine, its] = [one.health.latency, other.health.latency];
  if (mine === undefined || its === undefined) return false;
  return its - mine > FASTER_BY_MS && mine < its * (1 - FASTER_BY);
}
