import { readdirSync, realpathSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { type BoundedFile, readBoundedFile, unreadable } from './bounded-file.ts';

/** Each is a file to be looked at every second. */
export const MOST_ENTRIES = 10_000;

/** Where a mounted Secret has its files: a link that the kubelet replaces by another, with all of them. */
export const SECRET_DATA = '..data';

/** Whether a file of a directory is a user: not what is hidden, nor what editors leave (`ada~`, `#ada#`). */
export function isUserFile(name: string): boolean {
  return !/^\.|~$|^#.*#$/s.test(name);
}

/** Of one of them. */
const MOST_BYTES = 64 * 1024;

/** Kubernetes swaps a Secret once a minute at most. */
const MOST_ATTEMPTS = 3;

/** A file of a directory, which is a user. */
export interface DirectoryEntry extends BoundedFile {
  readonly name: string;
  /** The path that errors name. */
  readonly from: string;
}

/**
 * The files of a directory that are users, in the order of their names; of a mounted Secret all of before a swap, or all of
 * after it.
 *
 * @throws PodsocksError ERR_CONFIG.
 */
export function entriesOf(path: string): readonly DirectoryEntry[] {
  for (let attempt = 0; attempt < MOST_ATTEMPTS; attempt++) {
    const place = placeOf(path);
    try {
      const entries = readEntries(path, place);
      // After a swap the kubelet removes what there was, so that some of it may have been missing already.
      if (placeOf(path) === place) return entries;
    } catch (error) {
      if (placeOf(path) === place) throw error;
    }
  }
  throw wrong(`${path} is being changed`); // so it is read again
}

/** The directory that has the files: in a mounted Secret the one that is swapped for another. */
function placeOf(path: string): string {
  try {
    const data = realpathSync(join(path, SECRET_DATA));
    return statSync(data).isDirectory() ? data : path;
  } catch {
    return path;
  }
}

function readEntries(path: string, place: string): readonly DirectoryEntry[] {
  let names: string[];
  try {
    names = readdirSync(place);
  } catch (error) {
    throw unreadable(path, error);
  }
  const users = names.filter(isUserFile);
  if (users.length > MOST_ENTRIES) {
    throw wrong(`${path} has more than ${MOST_ENTRIES} files; give so many users in one file`);
  }
  return users.sort().map(name => {
    const from = join(path, name);
    return { name, from, ...readBoundedFile(join(place, name), MOST_BYTES, from) };
  });
}

function wrong(message: string): PodsocksError {
  return new PodsocksError('ERR_CONFIG', message);
}
