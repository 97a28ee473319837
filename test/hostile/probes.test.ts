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

/** What needs no time may take that long on a busy machine. */
const AT_ONCE_MS = 5_000;

// A clock that stands still: or "31 s ahead" would be 30 by the time it arrives.
beforeEach(() => void vi.useFakeTimers({ toFake: ['Date'] }));
afterEach(() => void vi.useRealTimers());

describe('what a prober sees', () => {
  it('is silence up to the deadline when it sends no more', () =>
    underEachScheme(async scheme => {
      const victim = await startVictim(scheme, { handshakeTimeout: DEADLINE_MS });
      const moment = (after: number) =>
        after < DEADLINE_MS ? 'early' : after < DEADLINE_MS + AT_ONCE_MS ? 'at the deadline' : 'late';
      expect(await views(victim, { fin: false, moment })).toEqual(['no byte, FIN, at the deadline']);
    }));

  it('is the end, at once, when it has ended', () =>
    underEachScheme(async scheme => {
      const victim = await startVictim(scheme);
      const moment = (after: number) => (after < AT_ONCE_MS ? 'at once' : 'late');
      expect(await views(victim, { fin: true, moment })).toEqual(['no byte, FIN, at once']);
    }));
});

interface Way {
  /** Whether the prober ends with FIN. */
  readonly fin: boolean;
  readonly moment: (after: number) => string;
}

/** The different views that all attacks get, each, unless it is the only one, with some that got it. */
async function views(victim: Attackable, { fin, moment }: Way): Promise<string[]> {
  const target = await startTestEcho();
  const attacks = await attacksOn(victim, target.port);
  const seen = new Map<string, Attack[]>();
  await Promise.all(
    attacks.map(async attack => {
      const sighting = await probe(victim.port, attack.bytes, { fin, ...attack });
      const view = `${seenBytes(sighting)}, ${moment(sighting.after)}`;
      seen.set(view, [...(seen.get(view) ?? []), attack]);
    }),
  );
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
