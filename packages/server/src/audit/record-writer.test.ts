import { once } from 'node:events';
import { Writable } from 'node:stream';
import { createLogger } from '@podsocks/shared/runtime/log';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { type Outlet, RecordWriter } from './record-writer.ts';

beforeEach(
  () => void vi.useFakeTimers({ toFake: ['setTimeout', 'setInterval', 'clearInterval', 'clearTimeout', 'Date'] }),
);
afterEach(() => void vi.useRealTimers());

/** An outlet that takes what the test lets it. */
class Gate implements Outlet {
  readonly written: string[] = [];
  /** Undefined: writes wait. */
  answer: Error | null | undefined = null;
  moved = false;
  next: Gate | Error | undefined;
  isEnded = false;
  #waiting: (() => void)[] = [];

  readonly stream = new Writable({
    write: (chunk, _, done) => {
      const finish = () => {
        if (this.answer === null) this.written.push(String(chunk));
        done(this.answer);
      };
      if (this.answer === undefined) this.#waiting.push(finish);
      else finish();
    },
  });

  open(answer: Error | null): void {
    this.answer = answer;
    for (const finish of this.#waiting.splice(0)) finish();
  }

  isMoved = async () => this.moved;

  reopen = () => {
    if (this.next instanceof Error) throw this.next;
    return this.next!;
  };

  async end(): Promise<void> {
    this.isEnded = true;
    this.stream.end();
    if (!this.stream.destroyed) await once(this.stream, 'finish').catch(() => {});
  }
}

function written(gate = new Gate()) {
  const log: Record<string, unknown>[] = [];
  const destination = { write: (line: string) => void log.push(JSON.parse(line)) };
  const writer = new RecordWriter(gate, createLogger({ level: 'info', format: 'json', name: 'test', destination }));
  return { gate, writer, log };
}

const lostOf = (line: string) => JSON.parse(line).count;
const ENOSPC = Object.assign(new Error('ENOSPC: no space left'), { code: 'ENOSPC' });

it('writes in order', async () => {
  const { gate, writer } = written();
  writer.write('1\n');
  writer.write('2\n');
  await writer.close();
  expect(gate.written.join('')).toBe('1\n2\n');
  writer.write('3\n');
  expect(gate.written).toHaveLength(2);
});

it('goes on in another file when its own was moved, and ends that', async () => {
  const { gate, writer } = written();
  const next = new Gate();
  writer.write('1\n');
  await vi.advanceTimersByTimeAsync(1000);
  expect(gate.isEnded).toBe(false);
  [gate.moved, gate.next] = [true, next];
  await vi.advanceTimersByTimeAsync(1000);
  writer.write('2\n');
  await writer.close();
  expect([gate.written, next.written, gate.isEnded]).toEqual([['1\n'], ['2\n'], true]);
});

it('stays with the file that was moved when no other can be opened, and says so', async () => {
  const { gate, writer, log } = written();
  [gate.moved, gate.next] = [true, new Error('no such directory')];
  await vi.advanceTimersByTimeAsync(5000);
  writer.write('1\n');
  await writer.close();
  expect(gate.written).toEqual(['1\n']);
  expect(log).toHaveLength(1);
  expect(log[0]).toMatchObject({ level: 'error', reason: 'no such directory' });
});

it('counts what a full disk took, and tells it when there is room again', async () => {
  const { gate, writer, log } = written();
  gate.answer = ENOSPC;
  for (const line of ['1\n', '2\n']) writer.write(line);
  await vi.advanceTimersByTimeAsync(0);
  writer.write('3\n');
  const full = new Gate();
  full.answer = ENOSPC;
  gate.next = full;
  await vi.advanceTimersByTimeAsync(1000);
  const room = new Gate();
  full.next = room;
  await vi.advanceTimersByTimeAsync(1000);
  writer.write('4\n');
  await writer.close();
  expect(room.written.map(line => line.length > 2 && lostOf(line))).toEqual([3, false]);
  expect(JSON.parse(room.written[0]!)).toEqual({ time: expect.any(String), event: 'lost', count: 3 });
  expect(log[0]).toMatchObject({ level: 'error', count: 1, reason: ENOSPC.message });
});

it('keeps so much for who is slow, and loses the rest', async () => {
  const { gate, writer } = written();
  gate.answer = undefined;
  const line = `${'x'.repeat(1024 * 1024 - 1)}\n`;
  for (let i = 0; i < 20; i++) writer.write(line);
  expect(gate.stream.writableLength).toBe(8 * 1024 * 1024);
  gate.open(null);
  await vi.advanceTimersByTimeAsync(1000);
  expect(gate.written.map(text => text.length)).toEqual([...Array(8).fill(line.length), expect.any(Number)]);
  expect(lostOf(gate.written.at(-1)!)).toBe(12);
  await vi.advanceTimersByTimeAsync(5000);
  expect(gate.written).toHaveLength(9);
});

it('waits at its end for what was replaced as well, but not for ever', async () => {
  const { gate, writer, log } = written();
  gate.answer = undefined;
  writer.write('1\n');
  [gate.moved, gate.next] = [true, new Gate()];
  await vi.advanceTimersByTimeAsync(1000);
  let isClosed = false;
  const closed = writer.close().then(() => {
    isClosed = true;
  });
  await vi.advanceTimersByTimeAsync(1900);
  expect(isClosed).toBe(false);
  await vi.advanceTimersByTimeAsync(200);
  expect(log.at(-1)).toMatchObject({ msg: 'audit records were not written in time' });
  await closed;
});
