import { execFile } from 'node:child_process';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { withoutPassword } from './command-line-text.ts';
import type { Command } from './desktop.ts';

/** Runs a command and returns what it prints to standard output. */
export type RunCommand = (command: Command) => Promise<string>;

/** Long enough for a PowerShell that starts on a slow disk. */
const TIMEOUT = 30_000;

/**
 * Runs a program of the system, without a shell.
 *
 * @throws PodsocksError when it is not there, ends with another code than 0, or does not end within 30 s.
 */
export const runCommand: RunCommand = ({ program, args }) =>
  new Promise((resolve, reject) => {
    const options = { timeout: TIMEOUT, windowsHide: true, maxBuffer: 4 << 20 };
    execFile(program, [...args], options, (error, stdout, stderr) => {
      if (!error) return resolve(stdout);
      if ((error.code as unknown) === 'ENOENT') return reject(new NotInstalled(program));
      const said = [stderr, stdout].map(text => text.trim()).find(text => text !== '') ?? '';
      const how = error.killed ? 'did not end in time' : `ended with code ${error.code ?? error.signal}`;
      const [first = ''] = args;
      reject(failure(`${program} ${first} ${how}${said && `: ${withoutPassword(said).slice(0, 300)}`}`));
    });
  });

/** A program of the system is missing. */
export class NotInstalled extends PodsocksError {
  constructor(program: string) {
    super('ERR_DENIED', `there is no program ${program} on this machine; is --desktop right?`);
  }
}

/** For what the machine does not do, or not let us do: exit code 1. */
export function failure(message: string): PodsocksError {
  return new PodsocksError('ERR_DENIED', message);
}
