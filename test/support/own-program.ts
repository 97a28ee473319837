import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';

// The programs as they are run: built, as processes.

export const SERVER = 'packages/server/bin/ss-server.cjs';
export const CLIENT = 'packages/client/bin/ss-local.cjs';
export const DEMO = 'demo/dist/start.js';

export interface Program {
  readonly child: ChildProcess;
  /** Everything written so far, on both streams. */
  output(): string;
  /** Resolves when the output has this. */
  wrote(pattern: RegExp): Promise<RegExpExecArray>;
  /** When it has ended, and everybody else to whom it gave its streams. */
  readonly exitCode: Promise<number | null>;
}

export interface RunOptions {
  readonly env?: Record<string, string>;
  /** In a process group of its own, to which signals can be sent. */
  readonly detached?: boolean;
  /** How many descriptors it may have open. */
  readonly descriptors?: number;
}

/** Runs a program for one test. */
export function run(script: string, args: readonly string[], options: RunOptions = {}): Program {
  const { env = {}, detached = false, descriptors } = options;
  const path = fileURLToPath(new URL(`../../${script}`, import.meta.url));
  const node = [process.execPath, path, ...args];
  const [command, ...rest] = descriptors ? ['bash', '-c', `ulimit -n ${descriptors} && exec "$@"`, '', ...node] : node;
  const child = spawn(command!, rest, { env: { ...process.env, ...env }, detached, stdio: ['ignore', 'pipe', 'pipe'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', text => {
      output += text;
    });
  }
  const exitCode = once(child, 'close').then(([code]) => code as number | null);
  return {
    child,
    output: () => output,
    exitCode,
    async wrote(pattern) {
      let found: RegExpExecArray | null = null;
      while (found === null) {
        found = pattern.exec(output);
        if (found === null && child.exitCode !== null) throw new Error(`it ended without ${pattern}:\n${output}`);
        if (found === null) await new Promise(resolve => setTimeout(resolve, 20));
      }
      return found;
    },
  };
}
