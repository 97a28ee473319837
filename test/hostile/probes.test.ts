import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Attack, attacksOn, RECORDINGS, serves } from './support/attacks.ts';
import { type Attackable, startVictim, underEachScheme } from './support/ends.ts';
import { probe, type Sighting } from './support/sighting.ts';
import { startTestEcho } from './support/witness.ts';

/*
 * What a prober sees must not tell how far its bytes got, so all attacks on a server, several hundred, have to look the
 * same. They run at once and so take one deadline together.
 */

const DEADLINE_MS = 1_500;

/** How much later than the control one may end: nothing for a server, but what it does is seen in turns. */
const SLACK_MS = 2_000;

// A clock that stands still: or "31 s ahead" would be 30 by the time it arrives.
beforeEach(() => void vi.useFakeTimers({ toFake: ['Date'] }));
afterEach(() => void vi.useRealTimers());

describe('what a prober sees', () => {
  it('is silence up to the deadline when it sends no more', () =>
    underEachScheme(async scheme => {
      const victim = await startVictim(scheme, { handshakeTimeout: DEADLINE_MS });
      expect(await views(victim, { fin: false, notBefore: DEADLINE_MS })).toEqual(['no byte, FIN, in time']);
    }));

  it('is the end, at once, when it has ended', () =>
    underEachScheme(async scheme => {
      const victim = await startVictim(scheme);
      expect(await views(victim, { fin: true, notBefore: 0 })).toEqual(['no byte, FIN, in time']);
    }));
});

interface Expected {
  /** Whether the probers end with FIN. */
  readonly fin: boolean;
  readonly notBefore: number;
}

/** The different views that all attacks get, each, unless it is the only one, with some that got it. */
async function views(victim: Attackable, { fin, notBefore }: Expected): Promise<string[]> {
  const target = await startTestEcho();
  const attacks = await attacksOn(victim, target.port);
  const probes = attacks.map(attack => probe(victim.port, attack.bytes, { fin, ...attack }));
  // The last to come, so nobody's turn is after that of one who has said nothing at all.
  const control = await probe(victim.port, new Uint8Array(0), { fin });
  const seen = new Map<string, Attack[]>();
  for (const [index, sighting] of (await Promise.all(probes)).entries()) {
    const isLate = sighting.endedAt > control.endedAt + SLACK_MS;
    const moment = sighting.after < notBefore ? 'early' : isLate ? 'late' : 'in time';
    const view = `${seenBytes(sighting)}, ${moment}`;
    seen.set(view, [...(seen.get(view) ?? []), attacks[index]!]);
  }
  expect(await serves(victim, target.port)).toBe(true);
  expect(target.connections(), 'connections to the target').toBe(RECORDINGS + 1);
  if (seen.size === 1) return [...seen.keys()];
  return [...seen].map(([view, group]) => `${view}: ${group.length}, as ${namesOf(group)}`);
}

function seenBytes({ bytes, end }: Sighting): string {
  return `${bytes.length === 0 ? 'no byte' : `${bytes.length} bytes`}, ${end.toUpperCase()}`;
}

function namesOf(attacks: readonly Attack[]): string {
  const some = attacks.slice(0, 5).map(({ name }) => name);
  return some.join('; ');
}
