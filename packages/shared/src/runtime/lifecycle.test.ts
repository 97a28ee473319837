import { EventEmitter } from 'node:events';
import { setImmediate } from 'node:timers/promises';
import { describe, expect, test, vi } from 'vitest';
import { createProgram } from '../settings/program.ts';
import { PodsocksError } from './errors.ts';
import { exitCodeOf, launch, type Running, reportError, runProgram, runUntilSignal } from './lifecycle.ts';
import { createLogger } from './log.ts';

function setUp(running: Partial<Running> = {}) {
  const events = new EventEmitter();
  const lines: string[] = [];
  const log = createLogger({
    level: 'info',
    format: 'json',
    name: 'ss-test',
    destination: { write: l => lines.push(l) },
  });
  const instance = {
    drain: vi.fn(running.drain ?? (() => Promise.resolve())),
    close: vi.fn(running.close ?? (() => Promise.resolve())),
  };
  return { events, lines, log, instance, run: () => runUntilSignal(async () => instance, { log, events }) };
}

const forever = () => new Promise<void>(() => {});

describe('runUntilSignal', () => {
  test.each(['SIGTERM', 'SIGINT'])('drains at the first %s and returns 0', async signal => {
    const { events, instance, run } = setUp();
    const code = run();
    await setImmediate();
    expect(instance.drain).not.toHaveBeenCalled();
    events.emit(signal, signal);
    expect(await code).toBe(0);
    expect(instance.drain).toHaveBeenCalledOnce();
    expect(instance.close).not.toHaveBeenCalled();
    expect(events.eventNames()).toEqual([]);
  });

  test('ends at once at the second signal, whatever the drain does', async () => {
    const { events, instance, run } = setUp({ drain: forever });
    const code = run();
    await setImmediate();
    events.emit('SIGTERM', 'SIGTERM');
    events.emit('SIGINT', 'SIGINT');
    expect(await code).toBe(0);
    expect(instance.drain).toHaveBeenCalledOnce();
    expect(instance.close).toHaveBeenCalledOnce();
  });

  test('ends at the second signal while the start still goes on', async () => {
    const { events, log } = setUp();
    const code = runUntilSignal(() => new Promise<Running>(() => {}), { log, events });
    events.emit('SIGTERM', 'SIGTERM');
    events.emit('SIGTERM', 'SIGTERM');
    expect(await code).toBe(0);
    expect(events.eventNames()).toEqual([]);
  });

  test('drains once started, when the signal came during the start', async () => {
    const { events, instance, log } = setUp();
    const { promise, resolve } = withResolvers<Running>();
    const code = runUntilSignal(() => promise, { log, events });
    events.emit('SIGTERM', 'SIGTERM');
    resolve(instance);
    expect(await code).toBe(0);
    expect(instance.drain).toHaveBeenCalledOnce();
  });

  test('returns 1 when stopping fails', async () => {
    const { events, lines, run } = setUp({ drain: () => Promise.reject(new Error('stuck')) });
    const code = run();
    await setImmediate();
    events.emit('SIGTERM', 'SIGTERM');
    expect(await code).toBe(1);
    expect(lines.at(-1)).toContain('stuck');
  });

  test.each(['uncaughtException', 'unhandledRejection'])('logs an %s as fatal, closes and returns 1', async event => {
    const { events, lines, instance, run } = setUp({ close: forever });
    const code = run();
    await setImmediate();
    events.emit(event, new Error('oops'));
    expect(await code).toBe(1);
    expect(instance.close).toHaveBeenCalledOnce();
    expect(JSON.parse(lines.at(-1)!)).toMatchObject({ level: 'fatal', err: { message: 'oops' } });
  });

  test('a fatal error ends a start that hangs', async () => {
    const { events, log } = setUp();
    const code = runUntilSignal(() => new Promise(() => {}), { log, events });
    events.emit('uncaughtException', new Error('oops'));
    expect(await code).toBe(1);
  });

  test('throws what the start throws, and leaves no handler behind', async () => {
    const { events, log } = setUp();
    const failure = new PodsocksError('ERR_LISTEN', 'port taken');
    await expect(runUntilSignal(() => Promise.reject(failure), { log, events })).rejects.toBe(failure);
    expect(events.eventNames()).toEqual([]);
  });
});

test('launch logs the warnings before it starts', async () => {
  const { events, lines, instance } = setUp();
  const surroundings = {
    stdout: { write: () => {} },
    stderr: { write: () => {} },
    events,
    logTo: { write: (l: string) => lines.push(l) },
  };
  const code = launch('ss-test', { logLevel: 'info', warnings: ['beware'] }, surroundings, async log => {
    log.info('started');
    return instance;
  });
  await setImmediate();
  events.emit('SIGTERM', 'SIGTERM');
  expect(await code).toBe(0);
  expect(lines.map(line => JSON.parse(line)).map(({ level, msg }) => [level, msg])).toEqual([
    ['warn', 'beware'],
    ['info', 'started'],
    ['info', expect.stringContaining('stopping')],
  ]);
});

describe('errors', () => {
  test('map to exit codes', () => {
    expect(exitCodeOf(new PodsocksError('ERR_USAGE', ''))).toBe(2);
    expect(exitCodeOf(new PodsocksError('ERR_CONFIG', ''))).toBe(2);
    expect(exitCodeOf(new PodsocksError('ERR_LISTEN', ''))).toBe(1);
    expect(exitCodeOf(new Error(''))).toBe(1);
    expect(exitCodeOf(undefined)).toBe(1);
  });

  test('are printed as one line, but for faults of the program, which keep their stack', () => {
    const written: string[] = [];
    const stderr = { write: (text: string) => written.push(text) };
    expect(reportError('ss-test', new PodsocksError('ERR_LISTEN', 'port\n  taken'), stderr)).toBe(1);
    expect(written.pop()).toBe('ss-test: port taken\n');
    expect(reportError('ss-test', new TypeError('oops'), stderr)).toBe(1);
    expect(written.pop()).toMatch(/^ss-test: TypeError: oops\n {4}at .*\n$/s);
    expect(reportError('ss-test', 'text', stderr)).toBe(1);
    expect(written.pop()).toBe('ss-test: text\n');
  });
});

describe('runProgram', () => {
  const run = async (...argv: string[]) => {
    const [out, err]: [string[], string[]] = [[], []];
    const stdout = { write: (text: string) => out.push(text) };
    const surroundings = { stdout, stderr: { write: (text: string) => err.push(text) }, events: new EventEmitter() };
    const settings = { password: { flags: '-k, --password <password>', describe: '', read: () => '' } };
    const program = createProgram({ name: 'ss-test', version: '1.2.3', summary: '' }, settings, stdout).action(
      () => {},
    );
    const code = await runProgram(program, argv, surroundings);
    return { code, out: out.join(''), err: err.join('') };
  };

  test('prints help and version to stdout and returns 0', async () => {
    expect(await run('--version')).toEqual({ code: 0, out: '1.2.3\n', err: '' });
    expect(await run('--help')).toEqual({ code: 0, out: expect.stringContaining('Usage: ss-test'), err: '' });
    expect(await run('-k', 'x')).toEqual({ code: 0, out: '', err: '' });
  });

  test('suggests the flag that was meant', async () => {
    const err = 'ss-test: unknown option --pasword (did you mean --password?); see: ss-test --help\n';
    expect(await run('--pasword', 'hunter2')).toEqual({ code: 2, out: '', err });
  });

  test.each([
    ['--passwrod=hunter2'],
    ["--passwrod=hunter2'\nhunter2"],
    ['-Khunter2'],
    ['hunter2'],
    ['-k', 'x', 'hunter2'],
    ['-k', 'hunter2', '--nonsense'],
  ])('never quotes what may be a secret: %j %j %j', async (...argv) => {
    const { code, err } = await run(...argv.filter(argument => argument !== undefined));
    expect(code).toBe(2);
    expect(err).toMatch(/^ss-test: [^\n]*; see: ss-test --help\n$/);
    expect(err).not.toContain('hunter2');
  });
});

/** Node.js 20 has no Promise.withResolvers. */
function withResolvers<T>() {
  let resolve!: (value: T) => void;
  const promise = new Promise<T>(settle => {
    resolve = settle;
  });
  return { promise, resolve };
}
