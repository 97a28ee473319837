import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join, sep } from 'node:path';

export interface ExecutableQuery {
  readonly name: string;
  /** An environment variable that names the directory to look in before all others. */
  readonly directoryVariable?: string;
  /** Where its installer puts it, below the home directory. */
  readonly home?: string;
  /** What to run to learn whether it is the right program of that name, and what its output then holds. */
  readonly proof: { readonly args: readonly string[]; readonly text: string };
}

/** The full path of a program, or undefined where this machine does not have it. */
export function findExecutable({ name, directoryVariable, home, proof }: ExecutableQuery): string | undefined {
  const override = directoryVariable && process.env[directoryVariable];
  return [...(override ? [override] : []), ...pathDirectories(), ...(home ? [join(homedir(), home)] : []), peerCache()]
    .map(directory => join(directory, name))
    .find(path => isExecutable(path) && outputOf(path, proof.args).includes(proof.text));
}

/** The full path of a program on PATH. */
export function findOnPath(name: string): string | undefined {
  return pathDirectories()
    .map(directory => join(directory, name))
    .find(isExecutable);
}

/** What a program prints on both streams; nothing where it cannot be run. */
export function outputOf(path: string, args: readonly string[]): string {
  const { stdout, stderr } = spawnSync(path, args, { encoding: 'utf8', timeout: 20_000 });
  return `${stdout ?? ''}${stderr ?? ''}`;
}

/** npm puts node_modules/.bin in front, where ss-server and ss-local are our own. */
function pathDirectories(): string[] {
  return (process.env.PATH ?? '')
    .split(delimiter)
    .filter(entry => entry !== '' && !entry.split(sep).includes('node_modules'));
}

/** Where the project's checks build what no package offers. */
function peerCache(): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'podsocks-peers', 'bin');
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
