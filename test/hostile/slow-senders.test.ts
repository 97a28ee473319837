import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { startVictim, underEachScheme } from './support/ends.ts';
import { opened, requestTo } from './support/requests.ts';
import { openSocket, probe, sight } from './support/sighting.ts';
import { startTestEcho } from './support/witness.ts';

/* A request may come in any split, and as slowly as the deadline allows; bytes do not move the deadline. */

describe('a request that drips in', () => {
  it('is served', () =>
    underEachScheme(async scheme => {
      const victim = await startVictim(scheme);
      const echo = await startTestEcho();
      const request = requestTo(scheme.method, victim.keys.client, echo.port);
      const socket = openSocket(victim.port);
      await once(socket, 'connect');
      const seen = sight(socket);
      for (const byte of Buffer.concat([request.seal('every byte'), request.seal(' in a segment of its own')])) {
        socket.write(Uint8Array.of(byte));
        await sleep(1);
      }
      socket.end();
      const { bytes } = await seen;
      expect(String(opened(request.opener(), bytes))).toBe('every byte in a segment of its own');
    }));

  it('ends with those who came when it did, and no later', () =>
    underEachScheme(async scheme => {
      const deadline = 1_200;
      // One process: each looks at its connections by a clock of its own, four times within the deadline.
      const victim = await startVictim(scheme, { handshakeTimeout: deadline, workers: 1 });
      const echo = await startTestEcho();
      const order: string[] = [];
      const watch = async (name: string, sighting: ReturnType<typeof sight>) => {
        const { bytes, end, after } = await sighting;
        order.push(name);
        expect({ name, bytes: bytes.length, end }).toEqual({ name, bytes: 0, end: 'fin' });
        expect(after).toBeGreaterThanOrEqual(deadline);
      };

      const flight = requestTo(scheme.method, victim.keys.client, echo.port).seal('too late');
      const silent = watch('silent, earlier', probe(victim.port, new Uint8Array(0)));
      await sleep(50);
      const since = performance.now();
      const socket = openSocket(victim.port);
      const dripping = watch('dripping', sight(socket, undefined, since));
      let later: Promise<void> | undefined;
      // All but the last byte. It stops well before the deadline, for a byte on its way then would make the end a reset.
      for (let at = 0; at < flight.length - 1; at++) {
        const due = (at / flight.length) * (deadline / 2);
        if (due > deadline / 4) later ??= watch('silent, later', probe(victim.port, new Uint8Array(0)));
        await sleep(Math.max(0, due - (performance.now() - since)));
        socket.write(flight.subarray(at, at + 1));
      }
      await Promise.all([silent, dripping, later]);
      expect(order).toEqual(['silent, earlier', 'dripping', 'silent, later']);
      expect(echo.connections()).toBe(0);
    }));
});
