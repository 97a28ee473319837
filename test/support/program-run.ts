import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const START_LIMIT_MS = 15_000;
const STOP_LIMIT_MS = 3_000;
const OUTPUT_LIMIT = 4_096;

export interface ProgramRun {
  readonly title: string;
  /** The end of what it wrote on stdout and stderr, for failure messages. */
  output(): string;
  stop(): Promise<void>;
}

/** Whether a started program can be used, by its process id and what it has written so far. */
export type Ready = (pid: number, output: string) => Promise<boolean>;

const running = new Set<ChildProcess>();

// Hooks do not run when the worker itself is ended.
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** Starts a program and waits until it accepts connections on 127.0.0.1:port, or is ready in another way. */
export async function startProgram(
  title: string,
  [command, ...args]: readonly [string, ...string[]],
  ready: number | Ready,
): Promise<ProgramRun> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  running.add(child);
  let output = '';
  const collect = (text: string) => {
    output = (output + text).slice(-OUTPUT_LIMIT);
  };
  child.stdout.setEncoding('utf8').on('data', collect);
  child.stderr.setEncoding('utf8').on('data', collect);
  child.on('error', error => collect(`${error.message}\n`));
  child.on('close', (code, signal) => {
    running.delete(child);
    collect(`[ended: ${signal ?? `exit code ${code}`}]\n`);
  });

  const run = { title, output: () => output, stop: () => stop(child) };
  try {
    const isReady: Ready = typeof ready === 'number' ? () => accepts(ready) : ready;
    await untilReady(child, pid => isReady(pid, output));
  } catch (error) {
    await run.stop();
    throw new Error(`${title}: ${(error as Error).message}\n${output}`);
  }
  return run;
}

async function untilReady(child: ChildProcess, ready: (pid: number) => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + START_LIMIT_MS;
  while (running.has(child)) {
    // Without a process id it has not started, and will be said to have ended.
    if (child.pid !== undefined && (await ready(child.pid))) return;
    if (Date.now() > deadline) throw new Error(`is not ready after ${START_LIMIT_MS / 1000} s`);
    await sleep(20);
  }
  throw new Error('ended before it was ready');
}

async function accepts(port: number): Promise<boolean> {
  const socket = connect({ host: '127.0.0.1', port });
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}

async function stop(child: ChildProcess): Promise<void> {
  if (!running.has(child)) return;
  const closed = once(child, 'close');
  const hurry = setTimeout(() => child.kill('SIGKILL'), STOP_LIMIT_MS);
  child.kill('SIGTERM');
  await closed;
  clearTimeout(hurry);
}
