import { stat } from 'node:fs/promises';
import { methodNamed } from '@podsocks/shared/crypto/methods';
import { createLogger } from '@podsocks/shared/runtime/log';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import type { ServerUser } from './user.ts';
import { keyText, MountedSecret, replaceFile, testFolder } from './users-files-fixtures.ts';
import { UsersWatch } from './users-watch.ts';

vi.mock('node:fs/promises', async original => {
  const real = await original<typeof import('node:fs/promises')>();
  return { ...real, stat: vi.fn(real.stat) };
});

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] }));
afterEach(() => {
  vi.useRealTimers();
  vi.mocked(stat).mockRestore();
});

const listOf = (...names: string[]) => ({ users: names.map((name, i) => ({ name, password: keyText(i + 1) })) });

function start(content: object | string) {
  const path = `${testFolder()}/users.json`;
  replaceFile(path, content);
  return watchOf(path);
}

function watchOf(path: string) {
  const records: Record<string, unknown>[] = [];
  const destination = { write: (line: string) => void records.push(JSON.parse(line)) };
  const log = createLogger({ level: 'info', format: 'json', name: 'test', destination });
  const applied: string[][] = [];
  const apply = (users: readonly ServerUser[]) => void applied.push(users.map(({ name }) => name));
  const method = methodNamed('2022-blake3-aes-256-gcm');
  const watch = new UsersWatch({ path, method, users: [], log, apply });
  onTestFinished(() => watch.close());
  const look = async () => {
    const looked = () => vi.getTimerCount() > 0;
    await vi.waitUntil(looked); // the look before this one is over
    vi.advanceTimersByTime(1000);
    await vi.waitUntil(looked);
  };
  return { path, watch, applied, look, messages: () => records.map(({ msg }) => String(msg)) };
}

describe('a watch of users', () => {
  it('applies what has changed, and nothing else', async () => {
    const { path, watch, applied, look, messages } = start(listOf('ada'));
    await look();
    await look();
    expect(applied).toEqual([['ada']]);
    replaceFile(path, { ...listOf('ada') });
    await look();
    await look();
    expect(applied).toHaveLength(1);
    replaceFile(path, listOf('ada', 'ben'));
    await look();
    expect(applied).toEqual([['ada'], ['ada', 'ben']]);
    expect([watch.size, watch.failures, watch.isStale]).toEqual([2, 0, false]);
    expect(messages()).toEqual(['users reloaded: there are 1', 'users reloaded: there are 2']);
  });

  it('tells once what is wrong, counts it, and tells when it is over', async () => {
    const { path, watch, applied, look, messages } = start(listOf('ada'));
    await look();
    for (const content of ['{', '{', { users: [{}] }]) {
      replaceFile(path, content);
      await look();
      await look();
      expect(watch.isStale).toBe(true);
    }
    replaceFile(path, listOf('ada'));
    await look();
    expect(watch.isStale).toBe(false);
    expect(applied).toEqual([['ada']]);
    expect(watch.failures).toBe(2);
    expect(messages()).toEqual([
      'users reloaded: there are 1',
      expect.stringMatching(/not reloaded, those that there were stay: .*users\.json: line 1, column 2: not JSON/),
      expect.stringMatching(/not reloaded, .*users\[0\]\.name: is missing/),
      'users can be read again; they are the same',
    ]);
  });

  it('reads again what was written just before, although nothing tells a change since', async () => {
    const now = Date.now();
    const stats = await stat('.');
    const same = { ...stats, mtimeMs: now, ctimeMs: now, isDirectory: () => false } as typeof stats;
    vi.mocked(stat).mockResolvedValue(same);
    const { path, applied, look } = start(listOf('ada'));
    await vi.waitUntil(() => applied.length === 1);
    replaceFile(path, listOf('ben'));
    await look();
    expect(applied).toEqual([['ada'], ['ben']]);
    await look();
    replaceFile(path, listOf('cid'));
    await look(); // it is not asked to find what nothing tells
    expect(applied).toHaveLength(2);
  });

  it('of a mounted Secret sees a swap whole, also where only a key has changed', async () => {
    const secret = new MountedSecret(`${testFolder()}/mount`, { ada: keyText(1), ben: keyText(2) });
    const { applied, look, messages, watch } = watchOf(secret.path);
    await look();
    secret.update({ ada: keyText(1), ben: keyText(3) });
    await look();
    secret.update({ ben: keyText(3), cid: keyText(4) });
    await look();
    expect(applied).toEqual([
      ['ada', 'ben'],
      ['ada', 'ben'],
      ['ben', 'cid'],
    ]);
    expect(messages()).toHaveLength(3);
    expect(watch.failures).toBe(0);
    const throughLinks = vi.mocked(stat).mock.calls.filter(([at]) => at === `${secret.path}/ben`);
    expect(throughLinks).toEqual([]); // some of them would lead to what is there afterwards
  });

  it('passes over what editors leave in a directory', async () => {
    const path = testFolder();
    replaceFile(`${path}/ada`, keyText(1));
    const { applied, look, watch } = watchOf(path);
    await look();
    for (const name of ['ada~', '#ada#', '.ada.swp']) replaceFile(`${path}/${name}`, 'no key');
    await look();
    expect([applied, watch.failures]).toEqual([[['ada']], 0]);
    const looked = new Set(vi.mocked(stat).mock.calls.map(([at]) => at));
    expect(looked).toEqual(new Set([path, `${path}/ada`]));
  });

  it('that is closed looks no more', async () => {
    const { path, watch, applied, look } = start(listOf('ada'));
    await look();
    watch.close();
    replaceFile(path, listOf('ben'));
    await vi.advanceTimersByTimeAsync(10_000);
    expect(applied).toEqual([['ada']]);
  });

  it('names at most twenty of those who changed', async () => {
    const names = Array.from({ length: 30 }, (_, i) => `user-${i}`);
    const records: Record<string, unknown>[] = [];
    const path = `${testFolder()}/users.json`;
    replaceFile(path, listOf(...names));
    const destination = { write: (line: string) => void records.push(JSON.parse(line)) };
    const log = createLogger({ level: 'info', format: 'json', name: 'test', destination });
    const watch = new UsersWatch({
      ...{ path, method: methodNamed('2022-blake3-aes-256-gcm'), users: [], log, apply: () => {} },
    });
    onTestFinished(() => watch.close());
    await vi.waitUntil(() => records.length === 1);
    expect(records[0]?.added).toEqual([...names.slice(0, 20), '30 in all']);
  });
});
