import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, isAbsolute, join, resolve } from 'node:path';

/**
 * Where a program is: at its path, or, of a bare name, in the directories of PATH. Those that are relative are left out:
 * what is found must not depend on where one stands.
 *
 * @param names all that it may be called, likeliest first.
 * @returns an absolute path; undefined if there is none that can be run.
 */
export function findProgram(
  names: readonly string[],
  environment: Readonly<Record<string, string>>,
): string | undefined {
  const isWindows = process.platform === 'win32';
  const variable = (name: string) => {
    const key = isWindows ? Object.keys(environment).find(other => other.toUpperCase() === name) : name;
    return (key && environment[key]) || '';
  };
  const endings = isWindows ? ['', ...(variable('PATHEXT') || '.EXE').split(';')] : [''];
  const directories = variable('PATH').split(delimiter).filter(isAbsolute);
  for (const name of names) {
    const places = isPath(name) ? [resolve(name)] : directories.map(directory => join(directory, name));
    const found = places.flatMap(place => endings.map(ending => place + ending)).find(isProgram);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Whether it says where the program is, and not just what it is called. */
export function isPath(name: string): boolean {
  return /[/\\]/.test(name);
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
