import { connect } from 'node:net';
import { replaceFile } from '@podsocks/server/users/users-files-fixtures';
import { clientStreams } from '@podsocks/shared/crypto/streams';
import { streamServices } from '@podsocks/shared/net/stream-services';
import { targetOf } from '@podsocks/shared/wire/address';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startEcho } from '../support/targets/echo.ts';
import { echoes, getsIn, KEYS, startUsersServer, usersFile } from './users-server.ts';

// ss-server --users: who comes, who goes, and what becomes of what they have open.

async function echo() {
  const target = await startEcho();
  onTestFinished(() => target.close());
  return { host: '127.0.0.1', port: target.port, connections: () => target.connections() };
}

describe.each([
  ['2022-blake3-aes-256-gcm', 1],
  ['2022-blake3-aes-256-gcm', 2],
  ['aes-256-gcm', 1],
  ['aes-256-gcm', 2],
])('users of %s with %i worker(s)', (method, workers) => {
  it('come and go; a broken file changes nothing and is told once; others notice nothing', async () => {
    const target = await echo();
    const running = await startUsersServer({ method, workers, users: usersFile({ ada: {}, cid: {} }) });
    const [adas, cids] = [await running.connectAs('ada', target), await running.connectAs('cid', target)];
    expect([await echoes(adas), await echoes(cids), await getsIn(running, 'ben', target)]).toEqual([true, true, false]);

    await running.reload(usersFile({ ada: {}, ben: {}, cid: {} }));
    await expect.poll(() => getsIn(running, 'ben', target), { timeout: 10_000 }).toBe(true);

    replaceFile(running.path, '{"users": [{"name": "ada", "passw');
    await expect.poll(() => running.logged(/users were not reloaded/).length, { timeout: 10_000 }).toBe(1);
    expect(running.logged(/users were not reloaded/)[0]).toMatchObject({
      level: 'error',
      msg: expect.stringMatching(/users\.json: line 1, column \d+: not JSON/),
    });
    expect([await echoes(cids), await getsIn(running, 'ben', target)]).toEqual([true, true]);

    await running.reload(usersFile({ ada: { groups: ['x'] }, ben: {} }));
    await expect.poll(() => echoes(cids), { timeout: 10_000 }).toBe(false);
    await expect.poll(() => getsIn(running, 'cid', target)).toBe(false);
    expect(await echoes(adas)).toBe(true);
    expect(running.logged(/users were not reloaded/)).toHaveLength(1);
    expect(
      running.logged(/^users reloaded/).map(({ added, revoked, changed }) => ({ added, revoked, changed })),
    ).toEqual([
      { added: ['ben'], revoked: undefined, changed: undefined },
      { added: undefined, revoked: ['cid'], changed: ['ada'] },
    ]);
    for (const key of Object.values(KEYS)) expect(JSON.stringify(running.records)).not.toContain(key);
  });

  it('who expire lose what they have open, and do not get in again', async () => {
    const target = await echo();
    const expires = new Date(Date.now() + 2500).toISOString();
    const running = await startUsersServer({ method, workers, users: usersFile({ ada: {}, ben: { expires } }) });
    const [adas, bens] = [await running.connectAs('ada', target), await running.connectAs('ben', target)];
    expect([await echoes(adas), await echoes(bens)]).toEqual([true, true]);
    await expect.poll(() => echoes(bens), { timeout: 10_000 }).toBe(false);
    const before = target.connections();
    expect(await getsIn(running, 'ben', target)).toBe(false);
    expect(target.connections()).toBe(before);
    expect(running.logged(/refused: user "ben" has expired/)).not.toEqual([]);
    expect(await echoes(adas)).toBe(true);
  });

  it('have so many connections at a time', async () => {
    const target = await echo();
    const running = await startUsersServer({
      method,
      workers,
      users: usersFile({ ada: { max_connections: 4 }, ben: {} }),
    });
    const held = [];
    for (let count = 0; count < 4; count++) held.push(await running.connectAs('ada', target));
    expect(await Promise.all(held.map(connection => echoes(connection)))).toEqual([true, true, true, true]);
    expect([await getsIn(running, 'ada', target), await getsIn(running, 'ben', target)]).toEqual([false, true]);
    const share = 4 / workers;
    expect(
      running.logged(new RegExp(`^user "ada" has ${share} connections and associations, and no more`)),
    ).not.toEqual([]);
    for (const connection of held) connection.destroy();
    await expect.poll(() => getsIn(running, 'ada', target), { timeout: 10_000 }).toBe(true);
  });
});

describe('a worker that takes the place of another', () => {
  it('knows the users that there are now', async () => {
    const target = await echo();
    const running = await startUsersServer({ workers: 2, users: usersFile({ ada: {} }) });
    await running.reload(usersFile({ ben: {} }));
    await expect.poll(() => getsIn(running, 'ben', target), { timeout: 10_000 }).toBe(true);
    const pids = () => running.logged(/a worker is ready/).map(({ pid }) => pid as number);
    for (const pid of pids()) process.kill(pid, 'SIGKILL');
    await expect.poll(() => pids().length, { timeout: 10_000 }).toBe(4);
    for (let attempt = 0; attempt < 4; attempt++) {
      expect([await getsIn(running, 'ben', target), await getsIn(running, 'ada', target)]).toEqual([true, false]);
    }
  });
});

describe('a connection that has begun to authenticate', () => {
  it.each(['2022-blake3-aes-256-gcm', 'aes-256-gcm'])('is refused if its user goes meanwhile: %s', async method => {
    const target = await echo();
    const running = await startUsersServer({ method, workers: 1, users: usersFile({ ada: {}, ben: {} }) });
    const { port, keys, method: its } = running.as('ada');
    const sealer = clientStreams(streamServices(its, 'auto')).sealRequest(keys, targetOf('127.0.0.1', target.port));
    const out = Buffer.alloc(sealer.sealedLength(5));
    const bytes = out.subarray(0, sealer.seal(out, 0, Buffer.from('hello'), 0, 5));
    // Whose it is, is known after salt, identity header and the first sealed unit; the target is not.
    const known = method === 'aes-256-gcm' ? 32 + 2 + 16 : 32 + 16 + 11 + 16;
    const socket = connect({ host: '127.0.0.1', port });
    onTestFinished(() => void socket.destroy());
    let ended = false;
    socket.on('close', () => {
      ended = true;
    });
    socket.write(bytes.subarray(0, known));
    await getsIn(running, 'ben', target); // by then it has been read
    await running.reload(usersFile({ ben: {} }));
    const before = target.connections();
    socket.write(bytes.subarray(known));
    await expect.poll(() => running.logged(/refused: user "ada" was removed a moment ago/).length).toBe(1);
    expect(await getsIn(running, 'ben', target)).toBe(true);
    expect([target.connections(), ended]).toEqual([before + 1, false]);
  });
});
