import { describe, expect, it } from 'vitest';
import { startVictim, underEachScheme } from './support/ends.ts';
import { requestTo } from './support/requests.ts';
import { openSocket, sight } from './support/sighting.ts';
import { startWitness } from './support/witness.ts';

/*
 * FIN says "that was all". A target may only get one where the client has said it; every other end has to arrive as a
 * reset, or half a file passes for the whole.
 */

describe('a request cut short', () => {
  it('is a reset for the target, unless it was cut between two chunks', () =>
    underEachScheme(async scheme => {
      const victim = await startVictim(scheme);
      const witness = await startWitness();
      for (let cut = 0, length = Number.POSITIVE_INFINITY; cut <= length; cut++) {
        const request = requestTo(scheme.method, victim.keys.client, witness.port);
        const client = openSocket(victim.port);
        client.write(request.seal('one'));
        const target = await witness.next();
        const [two, three] = [request.seal('two'), request.seal('three')];
        client.end(Buffer.concat([two, three]).subarray(0, cut));
        length = two.length + three.length;

        const [atClient, atTarget] = await Promise.all([sight(client), sight(target)]);
        const isWhole = cut === 0 || cut === two.length || cut === length;
        expect(atTarget.end, `what the target sees of a cut after ${cut} bytes`).toBe(isWhole ? 'fin' : 'rst');
        expect(atClient).toMatchObject({ bytes: Buffer.alloc(0), end: 'fin' });
      }
    }));
});

describe('a reset', () => {
  it('of the client is one for the target, even at a border of chunks', () =>
    underEachScheme(async scheme => {
      const victim = await startVictim(scheme);
      const witness = await startWitness();
      const client = openSocket(victim.port);
      client.write(requestTo(scheme.method, victim.keys.client, witness.port).seal('one'));
      const target = await witness.next();
      await new Promise(resolve => target.once('data', resolve));
      client.resetAndDestroy();
      expect((await sight(target)).end).toBe('rst');
    }));

  it('of the target is one for the client, even at a border of chunks', () =>
    underEachScheme(async scheme => {
      const victim = await startVictim(scheme);
      const witness = await startWitness();
      const client = openSocket(victim.port);
      client.write(requestTo(scheme.method, victim.keys.client, witness.port).seal('one'));
      const target = await witness.next();
      target.write('some of it');
      await new Promise(resolve => client.once('data', resolve));
      target.resetAndDestroy();
      expect((await sight(client)).end).toBe('rst');
    }));
});
