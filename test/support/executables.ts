import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join, sep } from 'node:path';

export interface ExecutableQuery {
  readonly name: string;
  /** An environment variable that names the directory to look in before all others. */
  readonly directoryVariable?: string;
  /** What to run to learn whether it is the right program of that name, and what its output then holds. */
  readonly proof: { readonly args: readonly string[]; readonly text: string };
}

/** The full path of a program, or undefined where this machine does not have it. */
export function findExecutable(query: ExecutableQuery): string | undefined {
  return searchPath(query.directoryVariable)
    .map(directory => join(directory, query.name))
    .find(path => isExecutable(path) && proves(path, query.proof));
}

function searchPath(directoryVariable: string | undefined): string[] {
  const override = directoryVariable && process.env[directoryVariable];
  // npm puts node_modules/.bin in front, where ss-server and ss-local are our own.
  const fromPath = (process.env.PATH ?? '')
    .split(delimiter)
    .filter(entry => !entry.split(sep).includes('node_modules'));
  return [...(override ? [override] : []), ...fromPath, join(homedir(), '.cargo', 'bin'), peerCache()];
}

/** Where .ci/run builds what no package offers. */
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

function proves(path: string, proof: ExecutableQuery['proof']): boolean {
  const { stdout, stderr } = spawnSync(path, proof.args, { encoding: 'utf8', timeout: 20_000 });
  return `${stdout}${stderr}`.includes(proof.text);
}
