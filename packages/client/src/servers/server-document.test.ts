import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger } from '@podsocks/shared/runtime/log';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { documentOf, startWebServer } from './document-fixtures.ts';
import type { DocumentSource } from './document-url.ts';
import { ServerDocument } from './server-document.ts';

const HOUR_MS = 3_600_000;

function documentFrom(source: DocumentSource) {
  const lines: string[] = [];
  const log = createLogger({
    ...{ level: 'info', format: 'json', name: 'test' },
    destination: { write: (line: string) => void lines.push(JSON.parse(line).msg) },
  });
  const document = new ServerDocument({ source, log });
  onTestFinished(() => document.close());
  const changes: number[][] = [];
  const load = async () => (await document.load()).map(({ port }) => port);
  const watch = () => document.watch(servers => void changes.push(servers.map(({ port }) => port)));
  return { document, lines, changes, load, watch };
}

beforeEach(
  () =>
    void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance'] }),
);
afterEach(() => void vi.useRealTimers());

/** Real IO goes on meanwhile. */
async function pass(milliseconds: number, isOver: () => boolean): Promise<void> {
  await vi.advanceTimersByTimeAsync(milliseconds);
  while (!isOver()) await new Promise(setImmediate);
  await vi.advanceTimersByTimeAsync(0);
}

describe('a list of servers in a file', () => {
  function file(text?: string) {
    const path = join(mkdtempSync(join(tmpdir(), 'podsocks-')), 'servers.json');
    const write = (content: string) => {
      writeFileSync(`${path}.new`, content);
      renameSync(`${path}.new`, path);
    };
    if (text !== undefined) write(text);
    return { path, write, remove: () => rmSync(path) };
  }

  it('is read again when it has changed', async () => {
    const { path, write } = file(documentOf(1));
    const { load, watch, changes } = documentFrom({ kind: 'file', path });
    expect(await load()).toEqual([1]);
    watch();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(changes).toEqual([]);
    write(documentOf(1, 2));
    await vi.advanceTimersByTimeAsync(4_000);
    expect(changes).toEqual([[1, 2]]);
  });

  it('holds on to what was right, and says once what is wrong', async () => {
    const { path, write, remove } = file(documentOf(1));
    const { load, watch, changes, lines } = documentFrom({ kind: 'file', path });
    await load();
    watch();
    write('{"servers": [');
    await vi.advanceTimersByTimeAsync(20_000);
    remove();
    await vi.advanceTimersByTimeAsync(20_000);
    expect(changes).toEqual([]);
    expect(lines).toEqual([
      expect.stringMatching(/servers\.json: line 1, column 14: not JSON.*; going on with the servers from before$/),
      expect.stringMatching(/^cannot read the list of servers .*; going on with the servers from before$/),
    ]);
    write(documentOf(3));
    await vi.advanceTimersByTimeAsync(4_000);
    expect(changes).toEqual([[3]]);
  });

  it('has to be there at the start', async () => {
    const { path } = file();
    await expect(documentFrom({ kind: 'file', path }).load()).rejects.toMatchObject({ code: 'ERR_CONFIG' });
  });

  it('is left alone when it is closed', async () => {
    const { path, write } = file(documentOf(1));
    const { document, load, watch, changes } = documentFrom({ kind: 'file', path });
    await load();
    watch();
    document.close();
    write(documentOf(2));
    await vi.advanceTimersByTimeAsync(20_000);
    expect(changes).toEqual([]);
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('a list of servers behind a URL', () => {
  async function web(status = 200) {
    const state = { text: documentOf(1), status, asked: 0, answered: 0 };
    const url = await startWebServer((_, response) => {
      state.asked++;
      response.on('close', () => state.answered++);
      response.writeHead(state.status).end(state.text);
    });
    const parts = documentFrom({ kind: 'url', url: new URL(`${url}/hunter2`) });
    const loaded = await parts.load().catch(({ message }: Error) => message);
    parts.watch();
    let fetches = 1;
    /** Lets time pass in which there is to be one fetch. */
    const fetched = async (milliseconds: number) => {
      fetches++;
      await pass(milliseconds, () => state.answered >= fetches && vi.getTimerCount() > 0);
    };
    return { ...parts, state, loaded, fetched };
  }

  it('is fetched every hour', async () => {
    const { state, changes, fetched } = await web();
    await vi.advanceTimersByTimeAsync(HOUR_MS - 1);
    expect(state.asked).toBe(1);
    await fetched(1);
    expect(changes).toEqual([]);
    state.text = documentOf(4, 5);
    await fetched(HOUR_MS);
    expect(changes).toEqual([[4, 5]]);
  });

  it('is fetched when no server can be reached, but not more than once a minute', async () => {
    const { document, state, changes, fetched } = await web();
    state.text = documentOf(6);
    document.refresh();
    for (let turn = 0; turn < 200; turn++) await new Promise(setImmediate);
    expect(state.asked).toBe(1);
    await vi.advanceTimersByTimeAsync(60_000);
    for (let i = 0; i < 10; i++) document.refresh();
    await fetched(0);
    expect(changes).toEqual([[6]]);
    document.refresh();
    await vi.advanceTimersByTimeAsync(0);
    expect(state.asked).toBe(2);
  });

  it('that fails is asked again, ever later, and what was right stays', async () => {
    const { state, changes, lines, fetched } = await web();
    state.status = 500;
    await fetched(HOUR_MS);
    await fetched(60_000);
    await fetched(120_000);
    expect(lines).toHaveLength(3);
    expect(lines[0]).toMatch(/HTTP status 500.*going on with the servers from before$/);
    expect(lines.join()).not.toContain('hunter2');
    state.status = 200;
    state.text = documentOf(7);
    await fetched(240_000);
    expect(changes).toEqual([[7]]);
    expect(state.asked).toBe(5);
  });

  it('that cannot be had at the start is asked again soon, for those who go on without it', async () => {
    const { state, loaded, changes, fetched } = await web(503);
    expect(loaded).toContain('HTTP status 503');
    state.status = 200;
    await fetched(60_000);
    expect(changes).toEqual([[1]]);
  });
});
