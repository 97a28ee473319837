import {
  closeSync,
  existsSync,
  fchmodSync,
  fchownSync,
  fsyncSync,
  openSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
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
  const real = endOf(path); // a link stays one
  if (existsSync(real) && statsOf(real).isDirectory()) {
    throw new PodsocksError(
      'ERR_USAGE',
      `${path} is a directory, as a Secret is mounted: a user is a file in it, and in a cluster is added to the Secret`,
    );
  }
  const draft = join(dirname(real), `.${basename(real)}.new`);
  const descriptor = openDraft(draft);
  try {
    const exists = existsSync(real); // somebody else may have made it before there was the draft
    const json = exists ? readUsersFile(real, warn).json : { users: [] };
    const { users } = json as { readonly users: readonly UserRecord[] };
    const edited = { ...json, users: edit(users) };
    check(usersIn(edited, path, () => {})); // of what was in it, the reading has warned
    writeFileSync(descriptor, `${JSON.stringify(edited, null, 2)}\n`);
    if (exists) keepAccess(descriptor, real, warn);
    fsyncSync(descriptor);
    renameSync(draft, real);
  } catch (error) {
    rmSync(draft, { force: true });
    throw error instanceof PodsocksError ? error : unwritable(real, error);
  } finally {
    closeSync(descriptor);
  }
}

/** Where a path leads to in the end, also where nothing is there yet. */
function endOf(path: string): string {
  try {
    return realpathSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw unwritable(path, error);
    const next = linkIn(path);
    return next === undefined ? path : endOf(resolve(realpathSync(dirname(path)), next));
  }
}

function linkIn(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
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

/** Who could read the old file can read the new one, as far as the system lets us, and nobody else. */
function keepAccess(descriptor: number, path: string, warn: Warn): void {
  const { mode, uid, gid } = statsOf(path);
  const isOwners = succeeds(() => fchownSync(descriptor, uid, gid)); // only root may give files away
  const isGroups = isOwners || succeeds(() => fchownSync(descriptor, -1, gid));
  const bits = mode & 0o777;
  fchmodSync(descriptor, isGroups ? bits : bits & ~0o070); // afterwards: it is not for the group that it was made with
  if (isOwners) return;
  const lost = isGroups ? 'owner' : 'owner and group';
  const mend = `chown ${uid}:${gid} ${path}${isGroups ? '' : ` && chmod ${bits.toString(8)} ${path}`}`;
  warn(`${path}: its ${lost} could not be kept; if others are to read it, run as root: ${mend}`);
}

function succeeds(change: () => void): boolean {
  try {
    change();
    return true;
  } catch {
    return false;
  }
}

function unwritable(path: string, error: unknown): PodsocksError {
  const { code = 'unknown error' } = error as NodeJS.ErrnoException;
  return new PodsocksError(
    'ERR_CONFIG',
    `cannot write ${path} (${code}); check the path, its mode and the room on the disk`,
  );
}
