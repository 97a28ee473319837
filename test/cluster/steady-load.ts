import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { withMounts } from './mounts.ts';
import type { Host } from './pod-network.ts';
import { programPath } from './server-nodes.ts';

/** Something that is done again and again, and what has come of it so far. */
export interface SteadyLoad<T> {
  readonly results: readonly T[];
  /** Begins no more. @returns all results, when what has begun has ended. */
  finish(): Promise<readonly T[]>;
}

/** Starts a program that prints its results as lines of JSON until SIGTERM. */
export function startSteadyLoad<T>(
  { namespace }: Host,
  program: string,
  args: readonly (string | number)[],
  resultOf: (printed: unknown) => T,
): SteadyLoad<T> {
  const inner = withMounts([], [process.execPath, programPath(program), ...args.map(String)]);
  const [command, ...rest] = namespace.within(inner);
  const child = spawn(command, rest, { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'close');
  const results: T[] = [];
  createInterface({ input: child.stdout }).on('line', line => results.push(resultOf(JSON.parse(line))));
  return {
    results,
    async finish() {
      child.kill('SIGTERM');
      await ended;
      return results;
    },
  };
}
