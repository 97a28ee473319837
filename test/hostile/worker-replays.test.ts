import type { ServerConfig } from '@podsocks/server/config';
import { startWorkers } from '@podsocks/server/workers/primary';
import { createLogger } from '@podsocks/shared/runtime/log';
import { describe, expect, it, onTestFinished } from 'vitest';
import { ALLOW_LOOPBACK } from '../support/allow-loopback.ts';
import { recorded, serves } from './support/attacks.ts';
import { type Attackable, COMMON, freshKeys, LOOPBACK, type Scheme, SIP004, underEachScheme } from './support/ends.ts';
import { opened, requestTo } from './support/requests.ts';
import { openSocket, probe, sight } from './support/sighting.ts';
import { startTestEcho } from './support/witness.ts';

/*
 * Connections are spread over the workers, so a recording comes to others than the one that had the original. All have to
 * know it, at any moment.
 */

const WORKERS = 3;
const REPLAYS = 60;

describe('a recorded request', () => {
  it('is refused by every worker, in silence, one after the other and all at once', () =>
    underEachScheme(async scheme => {
      const { victim, refusals } = await startVictim(scheme);
      const echo = await startTestEcho();
      const { flight } = await recorded(victim, echo.port);
      for (let turn = 0; turn < REPLAYS; turn++) await expectSilence(victim, flight);
      await Promise.all(Array.from({ length: REPLAYS }, () => expectSilence(victim, flight)));
      expect(echo.connections()).toBe(1);
      expect(refusals()).toEqual(new Set([1, 2, 3].map(worker => `worker ${worker}: ERR_REPLAY`)));
      expect(await serves(victim, echo.port)).toBe(true);
    }));

  it('is served once when many send it at the same moment', () =>
    underEachScheme(async scheme => {
      const { victim } = await startVictim(scheme);
      const echo = await startTestEcho();
      for (let round = 1; round <= 10; round++) {
        const request = requestTo(scheme.method, victim.keys.client, echo.port);
        const flight = request.seal('once');
        const sightings = await Promise.all(
          Array.from({ length: 20 }, () => {
            const socket = openSocket(victim.port);
            socket.end(flight);
            return sight(socket);
          }),
        );
        const answers = sightings.filter(({ bytes }) => bytes.length > 0);
        expect(answers).toHaveLength(1);
        expect(String(opened(request.opener(), answers[0]!.bytes))).toBe('once');
        expect(echo.connections(), `after ${round} rounds`).toBe(round);
        expect(new Set(sightings.map(({ end }) => end))).toEqual(new Set(['fin']));
      }
    }));
});

describe("the server's own answer, sent back to it,", () => {
  it('is refused by every worker, SIP004', async () => {
    const { victim, refusals } = await startVictim(SIP004);
    const echo = await startTestEcho();
    const { answer } = await recorded(victim, echo.port); // a good request in all but its salt
    for (let turn = 0; turn < REPLAYS; turn++) await expectSilence(victim, answer);
    expect(echo.connections()).toBe(1);
    expect(refusals()).toEqual(new Set([1, 2, 3].map(worker => `worker ${worker}: ERR_REPLAY`)));
  });

  it('is refused as soon as anybody can have it, SIP004', async () => {
    const { victim } = await startVictim(SIP004);
    const echo = await startTestEcho();
    for (let round = 1; round <= 100; round++) {
      const { answer } = await recorded(victim, echo.port);
      await Promise.all([1, 2, 3].map(() => expectSilence(victim, answer)));
      expect(echo.connections()).toBe(round);
    }
  });
});

async function expectSilence({ port }: Attackable, bytes: Uint8Array): Promise<void> {
  const sighting = await probe(port, bytes, { fin: true });
  expect({ bytes: sighting.bytes.length, end: sighting.end }).toEqual({ bytes: 0, end: 'fin' });
}

/** With several workers, however the other tests run. `refusals` tells which worker refused, and why. */
async function startVictim(scheme: Scheme): Promise<{ victim: Attackable; refusals: () => Set<string> }> {
  const keys = freshKeys(scheme);
  const lines: string[] = [];
  const destination = { write: (line: string) => void lines.push(line) };
  const log = createLogger({ level: 'warn', format: 'json', name: 'hostile', destination });
  const own = {
    listen: LOOPBACK,
    method: scheme.method,
    workers: WORKERS,
    udpTimeout: 300_000,
    policy: ALLOW_LOOPBACK,
    ...keys.server,
  };
  const server = await startWorkers({ ...COMMON, ...own } satisfies ServerConfig, { log });
  onTestFinished(() => server.close());
  const refusals = () =>
    new Set(lines.map(line => JSON.parse(line)).map(({ worker, code }) => `worker ${worker}: ${code}`));
  return { victim: { scheme, keys, port: server.addresses[0]!.port }, refusals };
}
