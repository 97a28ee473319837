import { describe, expect, it } from 'vitest';
import { type Scheme, underEachScheme } from './support/ends.ts';
import { type Caught, startPrey } from './support/evil-server.ts';
import { flipped } from './support/requests.ts';

/*
 * The program behind ss-local sees whole chunks of the answer, up to the first byte that was altered or is missing, and
 * then a reset: never other bytes, and a clean end only where the server may have made one.
 */

const CHUNKS = ['the first chunk', ' and the second'];

/** Both chunks, and the length of what comes first. */
function sealedAnswer({ answer }: Caught): { wire: Buffer; firstLength: number } {
  const [first, second] = CHUNKS.map(answer()) as [Buffer, Buffer];
  return { wire: Buffer.concat([first, second]), firstLength: first.length };
}

/** Bytes of the answer on the wire up to the end of its first chunk, and of its second. */
function borders({ method: { generation, keyBytes } }: Scheme): [number, number] {
  const [first, second] = CHUNKS.map(({ length }) => length + 16) as [number, number];
  const head = generation === 'sip004' ? keyBytes + 18 : keyBytes + 1 + 8 + keyBytes + 2 + 16;
  return [head + first, head + first + 18 + second];
}

describe('an answer cut short', () => {
  it('is a reset for the program, unless it was cut between two chunks', () =>
    underEachScheme(async scheme => {
      const [first, whole] = borders(scheme);
      const prey = await startPrey(scheme, caught => {
        const { wire } = sealedAnswer(caught);
        caught.socket.end(wire.subarray(0, caught.request.target.port - 1));
      });
      const cuts = [...Array(whole + 1).keys()];
      const seen = await Promise.all(cuts.map(cut => prey.sees(cut + 1)));

      const ends = new Map([
        [0, ''],
        [first, CHUNKS[0]],
        [whole, CHUNKS.join('')],
      ]);
      for (const cut of cuts) {
        const data = ends.get(cut) ?? (cut < first ? '' : CHUNKS[0]);
        expect({ cut, ...seen[cut] }).toEqual({ cut, data, end: ends.has(cut) ? 'fin' : 'rst' });
      }
    }));
});

describe('an altered answer', () => {
  it('is a reset for the program, whichever byte it was', () =>
    underEachScheme(async scheme => {
      const [first, whole] = borders(scheme);
      const rest = new Map<number, () => void>();
      const prey = await startPrey(scheme, caught => {
        const { wire, firstLength } = sealedAnswer(caught);
        const { port } = caught.request.target;
        const altered = flipped(wire, port - 1);
        caught.socket.write(altered.subarray(0, firstLength));
        // Later: what was opened in one read with an altered byte is thrown away.
        rest.set(port, () => caught.socket.write(altered.subarray(firstLength)));
      });
      await Promise.all(
        [...Array(whole).keys()].map(async at => {
          const seen = await prey.sees(at + 1, () => rest.get(at + 1)?.());
          expect({ at, ...seen }).toEqual({ at, data: at < first ? '' : CHUNKS[0], end: 'rst' });
        }),
      );
    }));
});
