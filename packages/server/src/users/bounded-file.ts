import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { othersCanRead } from '@podsocks/shared/settings/secret-file';

export interface BoundedFile {
  readonly text: string;
  /** Whether others, who have no business with it, can read it. */
  readonly isOpen: boolean;
}

/**
 * Reads a file of at most so many bytes. Nothing that stands in its place holds up the program, nor is it read: a pipe, a
 * device, a directory.
 *
 * @param shown how errors call it.
 * @throws PodsocksError ERR_CONFIG, which names it.
 */
export function readBoundedFile(path: string, most: number, shown: string = path): BoundedFile {
  let descriptor: number | undefined;
  try {
    // Without O_NONBLOCK, to open a pipe would wait for its writer.
    descriptor = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    const stats = fstatSync(descriptor);
    if (!stats.isFile()) throw wrong(`${shown} is no file; remove what is there`);
    if (stats.size > most) throw wrong(`${shown} has more than ${most / 1024} KiB; that is no list of users`);
    const bytes = Buffer.allocUnsafe(stats.size + 1);
    let length = 0;
    for (let read = -1; read !== 0 && length < bytes.length; length += read) {
      read = readSync(descriptor, bytes, length, bytes.length - length, null);
    }
    if (length > stats.size) throw wrong(`${shown} is being written`); // that is a change, so it is read again
    return { text: decoded(bytes.subarray(0, length), shown), isOpen: othersCanRead(stats) };
  } catch (error) {
    throw error instanceof PodsocksError ? error : unreadable(shown, error);
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

/** Without the byte order mark, which editors on Windows begin UTF-8 with. */
function decoded(bytes: Uint8Array, shown: string): string {
  try {
    return UTF8.decode(bytes);
  } catch {
    throw wrong(`${shown} is not UTF-8; save it as UTF-8`);
  }
}

const UTF8 = new TextDecoder('utf-8', { fatal: true });

/** For an error of the system. */
export function unreadable(path: string, error: unknown): PodsocksError {
  const { code = 'unknown error' } = error as NodeJS.ErrnoException;
  return wrong(`cannot read ${path} (${code}); check the path and its mode`);
}

function wrong(message: string): PodsocksError {
  return new PodsocksError('ERR_CONFIG', message);
}
