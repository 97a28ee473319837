import { chmodSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MountedSecret, replaceFile, testFolder } from '@podsocks/server/users/users-files-fixtures';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startEcho } from '../support/targets/echo.ts';
import { echoes, getsIn, KEYS, startUsersServer, usersFile } from './users-server.ts';

// ss-server --users: the ways in which files and directories of users change.

async function echo() {
  const target = await startEcho();
  onTestFinished(() => target.close());
  return { host: '127.0.0.1', port: target.port, connections: () => target.connections() };
}

describe('users in a Secret that is mounted', () => {
  it('come and go with its link, as the kubelet swaps it', async () => {
    const target = await echo();
    const secret = new MountedSecret(join(testFolder(), 'mount'), { ada: KEYS.ada, ben: KEYS.ben });
    const running = await startUsersServer({ path: secret.path });
    const adas = await running.connectAs('ada', target);
    expect([await echoes(adas), await getsIn(running, 'cid', target)]).toEqual([true, false]);
    secret.update({ ada: KEYS.ada, cid: JSON.stringify({ password: KEYS.cid, groups: ['x'] }) });
    await expect.poll(() => getsIn(running, 'cid', target), { timeout: 10_000 }).toBe(true);
    expect(await getsIn(running, 'ben', target)).toBe(false);
    secret.update({ ada: KEYS.ada, cid: KEYS.ada });
    await expect.poll(() => running.logged(/cid: is the same as that of "ada"/).length, { timeout: 10_000 }).toBe(1);
    secret.update({});
    await expect.poll(() => echoes(adas), { timeout: 10_000 }).toBe(false);
    secret.update({ ada: KEYS.ada });
    await expect.poll(() => getsIn(running, 'ada', target), { timeout: 10_000 }).toBe(true);
  });

  it('may be a file in it, which is a link', async () => {
    const target = await echo();
    const text = (...names: ('ada' | 'ben')[]) =>
      JSON.stringify(usersFile(Object.fromEntries(names.map(name => [name, {}]))));
    const secret = new MountedSecret(join(testFolder(), 'mount'), { 'users.json': text('ada') });
    const running = await startUsersServer({ path: join(secret.path, 'users.json') });
    secret.update({ 'users.json': text('ada', 'ben') });
    await expect.poll(() => getsIn(running, 'ben', target), { timeout: 10_000 }).toBe(true);
  });
});

describe('a file of users', () => {
  it('may be written in place, again and again within the same tick of its clock', async () => {
    const target = await echo();
    const running = await startUsersServer({ users: usersFile({ ada: {} }) });
    // Of the same length, so that nothing but the time tells.
    for (const name of ['ben', 'cid', 'dan', 'ben'] as const) {
      writeFileSync(running.path, JSON.stringify(usersFile({ ada: {} })));
      writeFileSync(running.path, JSON.stringify(usersFile({ [name]: {} })));
      await expect.poll(() => getsIn(running, name, target), { timeout: 10_000 }).toBe(true);
    }
  });

  it('that goes away, or cannot be read, or becomes something else, leaves its users', async () => {
    const target = await echo();
    const running = await startUsersServer({ users: usersFile({ ada: {} }) });
    const failure = (pattern: RegExp) =>
      expect
        .poll(() => running.logged(/users were not reloaded/).at(-1)?.msg, { timeout: 10_000 })
        .toEqual(expect.stringMatching(pattern));
    rmSync(running.path);
    await failure(/cannot read .*users\.json \(ENOENT\)/);
    symlinkSync('users.json', running.path);
    await failure(/cannot read .*users\.json \(ELOOP\)/);
    rmSync(running.path);
    mkdirSync(join(running.path, 'ada'), { recursive: true });
    await failure(/ada is no file/);
    rmSync(running.path, { recursive: true });
    writeFileSync(running.path, '', { mode: 0o600 });
    await failure(/users\.json: line 1, column 1: not JSON/);
    expect(await getsIn(running, 'ada', target)).toBe(true);
    chmodSync(running.path, 0o000);
    replaceFile(running.path, usersFile({ ben: {} }));
    await expect.poll(() => getsIn(running, 'ben', target), { timeout: 10_000 }).toBe(true);
  });
});
