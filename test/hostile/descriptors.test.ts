import type { Socket } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { serves } from './support/attacks.ts';
import { SIP004, SIP022 } from './support/ends.ts';
import { requestTo } from './support/requests.ts';
import { startServerProcess } from './support/server-process.ts';
import { openSocket, probe } from './support/sighting.ts';
import { startTestEcho, startWitness } from './support/witness.ts';

/* Whoever can open connections can open more of them than a process may have; it must go on serving those with a key. */

const DESCRIPTORS = 512;

describe(`with ${DESCRIPTORS} descriptors, ss-server`, () => {
  it.each([SIP004, SIP022])('serves while 2000 silent connections are being opened and held, $name', async scheme => {
    const victim = await startServerProcess(scheme, {}, { descriptors: DESCRIPTORS });
    const echo = await startTestEcho();
    const silent: Socket[] = [];
    for (let wave = 0; wave < 40; wave++) {
      silent.push(...openMany(10, victim.port)); // in place of those who have left: the honest one comes at the cap
      const meanwhile = async () => {
        silent.push(...openMany(40, victim.port));
        await probe(victim.port, new Uint8Array(0), { fin: true }); // is answered when all before it are accepted
      };
      expect(await serves(victim, echo.port, meanwhile), `wave ${wave}`).toBe(true);
    }
    expect(silent).toHaveLength(2000);
    for (let turn = 0; turn < 20; turn++) expect(await serves(victim, echo.port)).toBe(true);
    const { descriptors } = await victim.usage();
    expect(descriptors).toBeLessThan(DESCRIPTORS);
    expect(descriptors, 'at least some of them are held').toBeGreaterThan(100);
  });

  it('refuses, beyond its cap, even those with a key, and serves again when some have gone', async () => {
    const victim = await startServerProcess(SIP022, {}, { descriptors: DESCRIPTORS });
    const witness = await startWitness(target => target.write('welcome'));
    const clients = openMany(400, victim.port, () =>
      requestTo(SIP022.method, victim.keys.client, witness.port).seal('hello'),
    );
    const outcomes = await Promise.all(clients.map(outcomeOf));
    const welcome = outcomes.filter(outcome => outcome === 'welcome').length;
    expect(welcome).toBeGreaterThan(100);
    expect(welcome + outcomes.filter(outcome => outcome === 'gone').length).toBe(400);
    expect((await victim.usage()).descriptors).toBeLessThan(DESCRIPTORS);

    for (const client of clients) client.resetAndDestroy();
    const echo = await startTestEcho();
    await expect.poll(() => serves(victim, echo.port).catch(() => false), { timeout: 10_000 }).toBe(true);
  });

  it('outlives that targets use them all up, where a cap that is too high lets them', async () => {
    const settings = { maxConnections: 100_000, handshakeTimeout: 1_000 };
    const victim = await startServerProcess(SIP022, settings, { descriptors: DESCRIPTORS });
    const witness = await startWitness(target => target.write('welcome'));
    const clients = openMany(600, victim.port, () =>
      requestTo(SIP022.method, victim.keys.client, witness.port).seal('hello'),
    );
    const outcomes = await Promise.all(clients.map(outcomeOf));
    expect(outcomes.filter(outcome => outcome === 'welcome').length).toBeGreaterThan(100);
    expect(outcomes).toContain('gone');

    for (const client of clients) client.resetAndDestroy();
    const echo = await startTestEcho();
    await expect.poll(() => serves(victim, echo.port).catch(() => false), { timeout: 10_000 }).toBe(true);
    expect((await victim.usage()).descriptors).toBeLessThan(100);
  });
});

function openMany(count: number, port: number, firstBytes?: () => Uint8Array): Socket[] {
  return Array.from({ length: count }, () => {
    const socket = openSocket(port);
    socket.on('error', () => {});
    if (firstBytes) socket.write(firstBytes());
    onTestFinished(() => void socket.destroy());
    return socket;
  });
}

function outcomeOf(socket: Socket): Promise<'welcome' | 'gone'> {
  return new Promise(resolve => {
    socket.once('data', () => resolve('welcome'));
    socket.once('end', () => resolve('gone')).once('close', () => resolve('gone'));
  });
}
