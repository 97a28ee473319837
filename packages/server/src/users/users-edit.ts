import {
  closeSync,
  existsSync,
  fchmodSync,
  fchownSync,
  fsyncSync,
  openSync,
  realpathSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import type { Warn } from '@podsocks/shared/settings/settings';
import { type ListedUser, readUsersFile, statsOf, usersIn } from './users-files.ts';

/** A user as a file spells it. */
export type UserRecord = { readonly name: string; readonly password: string } & Readonly<Record<string, unknown>>;

/** The list in a file, before and after. */
type Edit = (records: readonly UserRecord[]) => readonly UserRecord[];

/**
 * Changes the list of a file of users: whoever reads it meanwhile finds the old one or the new one. All else in the file
 * stays; one that is not there is made, with an empty list.
 *
 * @param check is given the users that there would be, and may throw to leave the file as it is.
 * @throws PodsocksError ERR_CONFIG, or ERR_USAGE for a directory.
 */
export function editUsers(path: string, edit: Edit, check: (users: readonly ListedUser[]) => void, warn: Warn): void {
  const exists = existsSync(path);
  if (exists && statsOf(path).isDirectory()) {
    throw new PodsocksError(
      'ERR_USAGE',
      `${path} is a directory, as a Secret is mounted: a user is a file in it, and in a cluster is added to the Secret`,
    );
  }
  const real = exists ? realpathSync(path) : path; // a link stays one
  const draft = join(dirname(real), `.${basename(real)}.new`);
  const descriptor = openDraft(draft);
  try {
    const json = exists ? readUsersFile(real, warn).json : { users: [] };
    const { users } = json as { readonly users: readonly UserRecord[] };
    const edited = { ...json, users: edit(users) };
    check(usersIn(edited, path, warn));
    writeSync(descriptor, `${JSON.stringify(edited, null, 2)}\n`);
    if (exists) keepOwner(descriptor, real);
    fsyncSync(descriptor);
    renameSync(draft, real);
  } catch (error) {
    rmSync(draft, { force: true });
    throw error instanceof PodsocksError ? error : unwritable(real, error);
  } finally {
    closeSync(descriptor);
  }
}

/** That it is there keeps others from editing at the same time, of whom one would be lost. */
function openDraft(draft: string): number {
  try {
    return openSync(draft, 'wx', 0o600);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw unwritable(draft, error);
    const mend = 'try again, or remove it if nobody is';
    throw new PodsocksError('ERR_CONFIG', `somebody else is editing the users: there is ${draft}; ${mend}`);
  }
}

/** Who could read the old file can read the new one. */
function keepOwner(descriptor: number, path: string): void {
  const { mode, uid, gid } = statsOf(path);
  fchmodSync(descriptor, mode & 0o777);
  try {
    fchownSync(descriptor, uid, gid);
  } catch {
    // Only root may give files away.
  }
}

function unwritable(path: string, error: unknown): PodsocksError {
  const { code = 'unknown error' } = error as NodeJS.ErrnoException;
  return new PodsocksError('ERR_CONFIG', `cannot write ${path} (${code}); check the path and its mode`);
}
