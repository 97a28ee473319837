import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { createLogger } from '@podsocks/shared/runtime/log';
import { describe, expect, it, onTestFinished } from 'vitest';
import { openAudit } from './open-audit.ts';

const silent = createLogger({ level: 'silent', format: 'json', name: 'test' });

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'audit-'));
  onTestFinished(() => rmSync(path, { recursive: true }));
  return path;
}

function opened(path: string) {
  const sink = openAudit(path, silent);
  onTestFinished(() => sink.close());
  return sink;
}

const read = (path: string) => readFileSync(path, 'utf8');

describe('a file', () => {
  it('is made for its owner alone, and added to', async () => {
    const path = join(folder(), 'audit.json');
    for (const line of ['1\n', '2\n']) {
      const sink = opened(path);
      sink.write(line);
      await sink.close();
    }
    expect(read(path)).toBe('1\n2\n');
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  it('whose last line was cut goes on with a line of its own', async () => {
    const path = join(folder(), 'audit.json');
    writeFileSync(path, '1\n{"time":');
    const sink = opened(path);
    sink.write('2\n');
    await sink.close();
    expect(read(path)).toBe('1\n{"time":\n2\n');
  });

  it('that was moved is opened again within a moment, and every line is in one of the two', async () => {
    const path = join(folder(), 'audit.json');
    const sink = opened(path);
    let count = 0;
    const writing = setInterval(() => sink.write(`${count++}\n`), 1);
    onTestFinished(() => clearInterval(writing));
    await expect.poll(() => count).toBeGreaterThan(20);
    renameSync(path, `${path}.1`);
    await expect.poll(() => existsSync(path) && read(path), { timeout: 10_000 }).toMatch(/\d/);
    clearInterval(writing);
    await sink.close();
    const all = Array.from({ length: count }, (_, i) => `${i}\n`).join('');
    expect(read(`${path}.1`) + read(path)).toBe(all);
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  it('is opened again at SIGHUP', async () => {
    const path = join(folder(), 'audit.json');
    const sink = opened(path);
    sink.write('1\n');
    renameSync(path, `${path}.1`);
    process.emit('SIGHUP', 'SIGHUP');
    sink.write('2\n');
    const before = process.listenerCount('SIGHUP');
    await sink.close();
    expect([read(`${path}.1`), read(path)]).toEqual(['1\n', '2\n']);
    expect(process.listenerCount('SIGHUP')).toBe(before - 1);
  });

  it('that another has put there is gone on with', async () => {
    const path = join(folder(), 'audit.json');
    const sink = opened(path);
    renameSync(path, `${path}.1`);
    appendFileSync(path, 'new\n', { mode: 0o640 });
    const isThere = () => {
      sink.write('1\n');
      return read(path).startsWith('new\n1\n');
    };
    await expect.poll(isThere, { timeout: 10_000 }).toBe(true);
    await sink.close();
    expect(statSync(path).mode & 0o777).toBe(0o640);
  });

  it.each([
    [
      'in a folder that is not there',
      (path: string) => join(path, 'none', 'audit.json'),
      /cannot be opened \(ENOENT\)/,
    ],
    ['that is a folder', (path: string) => path, /cannot be opened \(EISDIR\)/],
    [
      'that is a pipe',
      (path: string) => {
        execFileSync('mkfifo', [join(path, 'pipe')]);
        return join(path, 'pipe');
      },
      /is a pipe/,
    ],
  ])('%s is refused by name', (_, pathIn, message) => {
    const path = pathIn(folder());
    const open = () => openAudit(path, silent);
    expect(open).toThrow(expect.objectContaining({ code: 'ERR_CONFIG' }));
    expect(open).toThrow(message);
    expect(open).toThrow(`--audit ${path}: `);
  });

  it('whose folder was taken away comes back with it', async () => {
    const within = join(folder(), 'logs');
    mkdirSync(within);
    const path = join(within, 'audit.json');
    const sink = opened(path);
    rmSync(within, { recursive: true });
    process.emit('SIGHUP', 'SIGHUP');
    mkdirSync(within);
    await expect.poll(() => existsSync(path), { timeout: 10_000 }).toBe(true);
    sink.write('1\n');
    await sink.close();
    expect(read(path)).toBe('1\n');
  });
});

it('- is the standard output, which stays open', async () => {
  let text = '';
  const stdout = new Writable({
    write: (chunk, _, done) => {
      text += chunk;
      setImmediate(done);
    },
  });
  const sink = openAudit('-', silent, stdout);
  sink.write('1\n');
  sink.write('2\n');
  await sink.close();
  expect(text).toBe('1\n2\n');
  expect(stdout.writableEnded).toBe(false);
});
