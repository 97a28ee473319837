import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { replaceFile } from '@podsocks/server/users/users-files-fixtures';
import { expect, it, onTestFinished } from 'vitest';
import type { Connection } from '../support/connection.ts';
import { PseudoRandom } from '../support/pseudo-random.ts';
import { startEcho } from '../support/targets/echo.ts';
import { echoes, getsIn, startUsersServer, usersFile } from './users-server.ts';

const CONNECTIONS = 500;
const PIECE = 16_384;

/** Or the processor would be busy with nothing but them, and others hardly get in. */
const PAUSE_MS = 250;

/** Sends and takes back, piece by piece, until it is told that it is enough; then the hashes of both. */
async function transfer(connection: Connection, seed: string, isEnough: () => boolean) {
  const source = new PseudoRandom(seed);
  const received = createHash('sha256');
  let pieces = 0;
  for (; pieces === 0 || !isEnough(); pieces++) {
    await connection.send(source.take(PIECE));
    received.update(await connection.take(PIECE));
    await sleep(PAUSE_MS);
  }
  connection.end();
  const rest = await connection.takeAll();
  return { pieces, rest: rest.length, sent: source.digest(), received: received.digest('hex') };
}

it.each([1, 2])(
  `${CONNECTIONS} connections of a user transfer on while others come and go and a broken file is mended: %i worker(s)`,
  async workers => {
    const echo = await startEcho();
    onTestFinished(() => echo.close());
    const target = { host: '127.0.0.1', port: echo.port };
    const running = await startUsersServer({ workers, users: usersFile({ ada: {}, cid: {} }) });
    const cids = await running.connectAs('cid', target);
    expect(await echoes(cids)).toBe(true);

    let enough = false;
    const transfers: ReturnType<typeof transfer>[] = [];
    for (let number = 0; number < CONNECTIONS; number++) {
      const connection = await running.connectAs('ada', target);
      transfers.push(transfer(connection, `transfer ${number}`, () => enough));
    }

    await running.reload(usersFile({ ada: {}, ben: {}, cid: {} }));
    await expect.poll(() => getsIn(running, 'ben', target), { timeout: 20_000 }).toBe(true);
    await running.reload(usersFile({ ada: {}, ben: {} }));
    await expect.poll(() => echoes(cids), { timeout: 20_000 }).toBe(false);
    replaceFile(running.path, '{"users": [{"name": "ben"');
    await expect.poll(() => running.logged(/users were not reloaded/).length, { timeout: 20_000 }).toBe(1);
    await running.reload(usersFile({ ada: { groups: ['ops'] }, ben: {}, dan: {} }));
    await expect.poll(() => getsIn(running, 'dan', target), { timeout: 20_000 }).toBe(true);

    enough = true;
    const done = await Promise.all(transfers);
    for (const { pieces, rest, sent, received } of done) {
      expect({ rest, received }).toEqual({ rest: 0, received: sent });
      expect(pieces).toBeGreaterThan(1);
    }
  },
  120_000,
);
