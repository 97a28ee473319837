import { readdir, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from '@podsocks/shared/runtime/log';
import { loadUsers, type UserSource } from './keyed-users.ts';
import type { ServerUser } from './user.ts';
import { changeOf } from './users-change.ts';
import { isUserFile, MOST_ENTRIES, SECRET_DATA } from './users-directory.ts';

export interface UsersWatchOptions extends UserSource {
  readonly log: Logger;
  /** Those that there are. */
  readonly users: readonly ServerUser[];
  /** Is given all users when they have changed. */
  readonly apply: (users: readonly ServerUser[]) => void;
}

/** What is written takes effect within twice this. */
const LOOK_MS = 1000;

/** The clock of file systems is coarse: what was written so shortly before a look may have been written again since. */
const FRESH_MS = 1000;

/** Files of a directory that are looked at at a time. */
const AT_A_TIME = 16;

/**
 * Reads users again when their file or directory has changed: all of them, or none, and then those that there were stay. By
 * looking, not by inotify, which tells nothing of network file systems, and loses what is replaced: Kubernetes swaps the
 * link `..data`, and editors rename. It does not look with the event loop, which a dead file server would hold up.
 */
export class UsersWatch {
  readonly #options: UsersWatchOptions;
  #timer: NodeJS.Timeout | undefined;
  #users: readonly ServerUser[];
  #signature: string | undefined;
  #complaint: string | undefined;
  /** What has been said; the start has said what it found. */
  #warnings: Set<string> | undefined;
  #failures = 0;
  #closed = false;

  constructor(options: UsersWatchOptions) {
    this.#options = options;
    this.#users = options.users;
    void this.#look();
  }

  /** How many users there are. */
  get size(): number {
    return this.#users.length;
  }

  /** How often there was something that could not be used. */
  get failures(): number {
    return this.#failures;
  }

  /** Whether what there is now cannot be used, so that the users are those of before. */
  get isStale(): boolean {
    return this.#complaint !== undefined;
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  async #look(): Promise<void> {
    // Before it is read: if it changes in between, the next look sees that.
    const signature = await signatureOf(this.#options.path);
    if (this.#closed) return;
    if (signature !== this.#signature) this.#read();
    this.#signature = signature;
    this.#timer = setTimeout(() => void this.#look(), LOOK_MS).unref();
  }

  #read(): void {
    const { log, apply, path } = this.#options;
    let users: readonly ServerUser[];
    const warnings: string[] = [];
    try {
      users = loadUsers(this.#options, warning => void warnings.push(warning));
    } catch (error) {
      const { message } = error as Error;
      if (message === this.#complaint) return; // read again, because it was fresh
      this.#complaint = message;
      this.#failures++;
      log.error({ users: path }, `users were not reloaded, those that there were stay: ${message}`);
      return;
    }
    const wasWrong = this.#complaint !== undefined;
    this.#complaint = undefined;
    for (const warning of warnings) if (this.#warnings?.has(warning) === false) log.warn(warning);
    this.#warnings = new Set(warnings);
    const change = changeOf(this.#users, users);
    const { added, revoked, changed } = change;
    if (added.length + revoked.length + changed.length === 0) {
      if (wasWrong) log.info({ users: path }, 'users can be read again; they are the same');
      return;
    }
    this.#users = users;
    apply(users);
    const shown = Object.fromEntries(Object.entries(change).flatMap(([what, names]) => shortened(what, names)));
    log.info({ users: path, ...shown }, `users reloaded: there are ${users.length}`);
  }
}

/** Names in a log. */
const MOST_SHOWN = 20;

function shortened(what: string, names: readonly string[]): [string, unknown][] {
  if (names.length === 0) return [];
  return [[what, names.length > MOST_SHOWN ? [...names.slice(0, MOST_SHOWN), `${names.length} in all`] : names]];
}

/** Differs after a change: of what is there, or of its place, time or length. */
async function signatureOf(path: string): Promise<string> {
  const own = await stampOf(path);
  if (!own.isDirectory) return own.stamp;
  const place = await placeOf(path);
  const names = await readdir(place).catch(() => []);
  // What is more is refused without being read.
  const users = names.filter(isUserFile).sort();
  const stamps = [own.stamp, `${users.length}`];
  for (let at = 0; at < Math.min(users.length, MOST_ENTRIES); at += AT_A_TIME) {
    const some = users.slice(at, at + AT_A_TIME);
    const found = await Promise.all(some.map(name => stampOf(join(place, name))));
    for (const [index, { stamp }] of found.entries()) stamps.push(some[index]!, stamp);
  }
  return stamps.join('\n');
}

/** The directory that has the files: of a mounted Secret as it is now, so that a swap is not seen in half of them. */
async function placeOf(path: string): Promise<string> {
  const data = await realpath(join(path, SECRET_DATA)).catch(() => undefined);
  return data !== undefined && (await stampOf(data)).isDirectory ? data : path;
}

async function stampOf(path: string): Promise<{ readonly stamp: string; readonly isDirectory: boolean }> {
  try {
    const stats = await stat(path);
    const { dev, ino, size, mtimeMs, ctimeMs, mode } = stats;
    const now = Date.now();
    const isFresh = Math.abs(now - mtimeMs) < FRESH_MS;
    const stamp = [dev, ino, size, mtimeMs, ctimeMs, mode, ...(isFresh ? [now] : [])].join(' ');
    return { stamp, isDirectory: stats.isDirectory() };
  } catch (error) {
    return { stamp: String((error as NodeJS.ErrnoException).code), isDirectory: false };
  }
}
