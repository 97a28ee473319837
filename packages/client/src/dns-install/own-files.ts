import { lstatSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Step } from './plan.ts';
import { type DnsSystem, refused } from './system.ts';

/** The first line of every file that is ours. Without it a file is somebody else's, whatever its name. */
export const MARKER = '# Written by ss-local dns install; ss-local dns uninstall removes it';

/** The second one, where the folder was made for it. */
const MADE_FOLDER = '# and the folder, which it made';

/** Files of ours in one folder. */
export interface OwnFiles {
  readonly folder: string;
  /** The only name that a file of ours has there; undefined: any. */
  readonly name?: string;
}

/**
 * What leads from the files of ours that there are to those that are wanted.
 *
 * @param wanted their text, without the marker, by name.
 * @throws PodsocksError where the place of one is taken, or there is nothing to put the folder into.
 */
export function fileSteps(system: DnsSystem, own: OwnFiles, wanted: ReadonlyMap<string, string>): Step[] {
  const present = presentFiles(system, own);
  const isThere = isFolder(system, own.folder);
  const madeFolder = !isThere || [...present.values()].some(text => text.startsWith(`${MARKER}\n${MADE_FOLDER}\n`));
  const path = (name: string) => join(own.folder, name);

  const steps: Step[] = [];
  for (const name of present.keys()) {
    if (!wanted.has(name)) steps.push({ do: 'remove', path: path(name) });
  }
  if (wanted.size === 0) {
    if (present.size > 0 && madeFolder) steps.push({ do: 'remove folder', path: own.folder });
    return steps;
  }
  if (!isThere) {
    const parent = join(own.folder, '..');
    if (!isFolder(system, parent)) throw refused(`there is no folder ${parent} for ${own.folder}`);
    steps.push({ do: 'make folder', path: own.folder });
  }
  for (const [name, body] of wanted) {
    if (!present.has(name) && stat(system, path(name)) !== undefined) throw foreign(path(name));
    const text = `${MARKER}\n${madeFolder ? `${MADE_FOLDER}\n` : ''}${body}`;
    if (present.get(name) !== text) steps.push({ do: 'write', path: path(name), text });
  }
  return steps;
}

/** Whether there is a file of ours. */
export function isPresent(system: DnsSystem, own: OwnFiles): boolean {
  return presentFiles(system, own).size > 0;
}

/** @returns paths at which something stands that is not ours, and that is left alone. */
export function foreignFiles(system: DnsSystem, { folder, name }: OwnFiles): string[] {
  if (name === undefined || stat(system, join(folder, name)) === undefined) return [];
  return isPresent(system, { folder, name }) ? [] : [join(folder, name)];
}

function presentFiles(system: DnsSystem, { folder, name }: OwnFiles): Map<string, string> {
  const names = name === undefined ? namesIn(system.root + folder) : [name];
  const texts = names.map((each): [string, string | undefined] => [each, ownText(system, join(folder, each))]);
  return new Map(texts.filter((entry): entry is [string, string] => entry[1] !== undefined));
}

/** A link would lead the writing somewhere else, so it is not ours; nor is what not everybody may read. */
function ownText(system: DnsSystem, path: string): string | undefined {
  if (!stat(system, path)?.isFile()) return undefined;
  try {
    const text = readFileSync(system.root + path, 'utf8');
    return text.startsWith(`${MARKER}\n`) ? text : undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EACCES') return undefined;
    throw error;
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return [];
  }
}

/** Or a link to one: where it leads to is the administrator's business. */
function isFolder(system: DnsSystem, path: string): boolean {
  return statSync(system.root + path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

function stat(system: DnsSystem, path: string): ReturnType<typeof lstatSync> {
  return lstatSync(system.root + path, { throwIfNoEntry: false });
}

function foreign(path: string) {
  return refused(`${path}: is there already, and not written by ss-local dns install; move it away first`);
}
