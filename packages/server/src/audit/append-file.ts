import { closeSync, createWriteStream, fstatSync, openSync, readSync, type Stats, statSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import type { Outlet } from './record-writer.ts';

const MODE = 0o600;
const NEWLINE = 0x0a;

/** A file that is only ever added to, line by line. It can be moved away, and is opened again then. */
export class AppendFile implements Outlet {
  readonly stream: Writable;
  readonly #path: string;
  readonly #device: number;
  readonly #inode: number;

  private constructor(path: string, fd: number, { dev, ino }: Stats) {
    this.#path = path;
    this.#device = dev;
    this.#inode = ino;
    this.stream = createWriteStream(path, { fd });
  }

  /**
   * Opens it, and makes it if there is none: for its owner alone.
   *
   * @throws PodsocksError ERR_CONFIG, naming the flag.
   */
  static open(path: string): AppendFile {
    let fd: number | undefined;
    try {
      // To open a pipe would wait for a reader, and stop everything.
      const isPipe = statSync(path, { throwIfNoEntry: false })?.isFIFO();
      if (isPipe) throw wrong(path, 'is a pipe; give a file, or - for the standard output');
      fd = openSync(path, 'a+', MODE);
      const stats = fstatSync(fd);
      const file = new AppendFile(path, fd, stats);
      if (endsWithin(fd, stats.size)) file.stream.write('\n');
      return file;
    } catch (error) {
      if (fd !== undefined) closeSync(fd);
      if (error instanceof PodsocksError) throw error;
      const { code } = error as NodeJS.ErrnoException;
      throw wrong(path, `cannot be opened (${code}); give a file that ss-server may read and write`);
    }
  }

  /** Whether the path leads elsewhere now, or nowhere. */
  async isMoved(): Promise<boolean> {
    try {
      const { dev, ino } = await stat(this.#path);
      return dev !== this.#device || ino !== this.#inode;
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === 'ENOENT';
    }
  }

  reopen(): AppendFile {
    return AppendFile.open(this.#path);
  }

  async end(): Promise<void> {
    this.stream.end();
    await finished(this.stream).catch(() => {}); // whoever wrote has been told
  }
}

/** Whether the last line has no end: a write of it failed half way, or its writer died. */
function endsWithin(fd: number, size: number): boolean {
  const last = Buffer.alloc(1);
  return size > 0 && readSync(fd, last, 0, 1, size - 1) === 1 && last[0] !== NEWLINE;
}

function wrong(path: string, complaint: string): PodsocksError {
  return new PodsocksError('ERR_CONFIG', `--audit ${path}: ${complaint}`);
}
