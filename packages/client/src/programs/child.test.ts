import { EventEmitter } from 'node:events';
import { describe, expect, it } from 'vitest';
import { type Child, inForeground, runChild } from './child.ts';

class FakeChild extends EventEmitter implements Child {
  readonly killed: string[] = [];
  kill(signal: string): boolean {
    this.killed.push(signal);
    return true;
  }
}

function start({ platform = 'linux' as NodeJS.Platform, foreground = true } = {}) {
  const events = new EventEmitter();
  const child = new FakeChild();
  const ending = runChild(() => child, { events, platform, isForeground: () => foreground });
  return { events, child, ending };
}

describe('a child', () => {
  it.each([
    [0, null, { code: 0 }],
    [77, null, { code: 77 }],
    [null, 'SIGKILL', { signal: 'SIGKILL' }],
  ])('that ends with %j, %j', async (code, signal, expected) => {
    const { child, events, ending } = start();
    child.emit('exit', code, signal);
    expect(await ending).toEqual(expected);
    expect(events.eventNames()).toEqual([]);
  });

  it.each([
    // The terminal has sent these to the child as well.
    [true, ['SIGTERM', 'SIGHUP', 'SIGUSR1', 'SIGUSR2']],
    [false, ['SIGTERM', 'SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGWINCH', 'SIGUSR1', 'SIGUSR2']],
  ])('gets the signals that are for this process alone; in the foreground: %j', async (foreground, expected) => {
    const { child, events, ending } = start({ foreground });
    for (const signal of ['SIGTERM', 'SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGWINCH', 'SIGUSR1', 'SIGUSR2']) {
      expect(events.listenerCount(signal), signal).toBe(1); // or this process would end
      events.emit(signal);
    }
    expect(child.killed).toEqual(expected);
    child.emit('exit', 0, null);
    await ending;
  });

  it('is never killed on Windows, where signals have ended it already if they shall', async () => {
    const { child, events, ending } = start({ platform: 'win32', foreground: false });
    for (const signal of ['SIGINT', 'SIGBREAK', 'SIGHUP']) {
      expect(events.listenerCount(signal), signal).toBe(1);
      events.emit(signal);
    }
    expect(child.killed).toEqual([]);
    child.emit('exit', 3, null);
    expect(await ending).toEqual({ code: 3 });
  });

  it('that cannot be started is told from one that has ended', async () => {
    const { child, events, ending } = start();
    const error = Object.assign(new Error('no'), { code: 'ENOENT', syscall: 'spawn x' });
    child.emit('error', error);
    expect(await ending).toEqual({ failed: error });
    expect(events.eventNames()).toEqual([]);
    const thrown = Object.assign(new Error('too long'), { code: 'E2BIG' });
    const attempt = () => {
      throw thrown;
    };
    const options = { events, platform: 'linux', isForeground: () => true } as const;
    expect(await runChild(attempt, options)).toEqual({ failed: thrown });
    expect(events.eventNames()).toEqual([]);
  });

  it('that may not be killed goes on', async () => {
    const { child, ending } = start();
    for (let time = 0; time < 2; time++) {
      child.emit('error', Object.assign(new Error('kill EPERM'), { code: 'EPERM', syscall: 'kill' }));
    }
    child.emit('exit', 5, null);
    expect(await ending).toEqual({ code: 5 });
  });
});

describe('the foreground', () => {
  const stat = (group: number, foreground: number) => `71 (ss) (lo cal) S 70 ${group} 60 34816 ${foreground} 4194304 0`;

  it('is the group that the terminal says, whatever the program is called', () => {
    expect(inForeground(stat(71, 71), false)).toBe(true);
    expect(inForeground(stat(71, 60), true)).toBe(false);
    expect(inForeground(stat(71, -1), false)).toBe(false);
  });

  it('is where there is a terminal, if nothing else is known', () => {
    expect([inForeground(undefined, true), inForeground(undefined, false)]).toEqual([true, false]);
  });
});
