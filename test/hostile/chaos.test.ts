import { randomBytes, randomInt } from 'node:crypto';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { freePort } from '../support/free-port.ts';
import { serves } from './support/attacks.ts';
import { type Attackable, startLocal, startVictim, underEachScheme } from './support/ends.ts';
import { flipped, requestTo } from './support/requests.ts';
import { openSocket } from './support/sighting.ts';
import { socksSocket } from './support/socks.ts';
import { startTestEcho, startWitness } from './support/witness.ts';

/*
 * Clients and targets that write, stall, end and reset as they please, at any moment, in front of ss-local and ss-server.
 * Whatever they did to each other, once they have gone nothing may be left of them, or draining would wait for it.
 */

const CONNECTIONS = 300;
const AT_ONCE = 50;

it('leaves nothing behind, and no error', () =>
  underEachScheme(async scheme => {
    const victim = await startVictim(scheme);
    const local = await startLocal(scheme, victim.keys.client, victim.port);
    const witness = await startWitness(target => void misbehave(target));
    const refusing = await freePort();
    for (let begun = 0; begun < CONNECTIONS; begun += AT_ONCE) {
      const clients = Array.from({ length: AT_ONCE }, () => {
        const port = chance(10) ? refusing : witness.port;
        return chance(2) ? throughLocal(local.socksPort, port) : straight(victim, port);
      });
      await Promise.all(clients.map(misbehave));
    }
    const echo = await startTestEcho();
    expect(await serves(victim, echo.port)).toBe(true);
    witness.destroyAll();

    const drained = Promise.all([local.drain(), victim.server.drain()]).then(() => 'drained');
    expect(await Promise.race([drained, sleep(10_000, 'something is left')])).toBe('drained');
  }));

function throughLocal(socksPort: number, port: number): Socket {
  return socksSocket(socksPort, port, randomBytes(chance(2) ? 0 : randomInt(100_000)));
}

/** To ss-server, with or without an altered byte in the first flight or in what follows. */
function straight({ scheme, keys, port }: Attackable, targetPort: number): Socket {
  const request = requestTo(scheme.method, keys.client, targetPort);
  const socket = openSocket(port);
  for (let writes = randomInt(1, 4); writes > 0; writes--) {
    const bytes = request.seal(randomBytes(randomInt(50_000)));
    socket.write(chance(5) && bytes.length > 0 ? flipped(bytes, randomInt(bytes.length)) : bytes);
  }
  return socket;
}

async function misbehave(socket: Socket): Promise<void> {
  socket.on('error', () => {});
  if (!chance(3)) socket.resume();
  for (let acts = randomInt(1, 8); acts > 0 && !socket.destroyed; acts--) {
    await sleep(randomInt(20));
    act(socket);
  }
  await sleep(50);
  if (chance(2)) socket.destroy();
  else socket.resetAndDestroy();
}

function act(socket: Socket): void {
  switch (randomInt(7)) {
    case 0:
      socket.end();
      break;
    case 1:
      socket.resetAndDestroy();
      break;
    case 2:
      socket.pause();
      break;
    case 3:
      socket.resume();
      break;
    default:
      if (socket.writable) socket.write(randomBytes(randomInt(300_000)));
  }
}

function chance(oneIn: number): boolean {
  return randomInt(oneIn) === 0;
}
