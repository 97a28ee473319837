import { describe, expect, it } from 'vitest';
import { WORKERS } from '../support/own-server.ts';
import { type Attackable, startVictim, underEachScheme } from './support/ends.ts';
import { flipped, requestTo } from './support/requests.ts';
import { openSocket, probe, sight } from './support/sighting.ts';
import { startWitness } from './support/witness.ts';

/* Those who have not shown a key, or whose later bytes were refused, must not hold anything up. */

describe('draining', () => {
  it('closes all strangers and waits for none of them', () =>
    underEachScheme(async scheme => {
      const victim = await startVictim(scheme);
      const flight = requestTo(scheme.method, victim.keys.client, 9).seal('never whole');
      const expelled = await expelledClient(victim);
      const strangers = [
        probe(victim.port, new Uint8Array(0)),
        probe(victim.port, flight.subarray(0, 1)),
        probe(victim.port, flight.subarray(0, flight.length - 1)),
        probe(victim.port, flipped(flight, 0)),
        probe(victim.port, Buffer.alloc(100_000, 7)),
        sight(expelled),
      ];
      // The last of them to come has been accepted when another, later one has been answered: by FIN for its FIN. The
      // workers, if there are several, take turns.
      for (let worker = 0; worker < WORKERS; worker++) await probe(victim.port, new Uint8Array(0), { fin: true });

      await victim.server.drain(); // 60 s if it waited
      for (const stranger of strangers) expect(await stranger).toMatchObject({ bytes: Buffer.alloc(0), end: 'fin' });
    }));

  it('waits for those who have shown a key', () =>
    underEachScheme(async scheme => {
      const victim = await startVictim(scheme);
      const witness = await startWitness();
      const client = openSocket(victim.port);
      client.write(requestTo(scheme.method, victim.keys.client, witness.port).seal('one'));
      const target = await witness.next();
      const order: string[] = [];
      const drained = victim.server.drain().then(() => order.push('drained'));
      await new Promise(resolve => setTimeout(resolve, 100));
      order.push('target ends');
      target.end();
      client.end();
      target.resume();
      expect((await sight(client)).end).toBe('fin');
      await drained;
      expect(order).toEqual(['target ends', 'drained']);
    }));
});

describe('a handshake that nothing follows', () => {
  it('ends when it has been idle for long enough, and leaves nothing behind', () =>
    underEachScheme(async scheme => {
      const victim = await startVictim(scheme, { timeout: 400 });
      const witness = await startWitness();
      const request = requestTo(scheme.method, victim.keys.client, witness.port);
      const client = probe(victim.port, request.seal(''));
      const target = sight(await witness.next());
      expect(await client).toMatchObject({ bytes: Buffer.alloc(0), end: 'rst' });
      expect(await target).toMatchObject({ bytes: Buffer.alloc(0), end: 'rst' });
      await victim.server.drain(); // 60 s if it still counted
    }));
});

/** One that was admitted, and then sent a chunk that was altered. */
async function expelledClient({ scheme, keys, port }: Attackable) {
  const witness = await startWitness();
  const request = requestTo(scheme.method, keys.client, witness.port);
  const client = openSocket(port);
  client.write(request.seal('one'));
  const target = await witness.next();
  client.write(flipped(request.seal('two'), 0));
  expect((await sight(target)).end).toBe('rst');
  return client;
}
