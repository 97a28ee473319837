import type { Writable } from 'node:stream';
import { atMostEvery } from '@podsocks/shared/runtime/at-most-every';
import type { Logger } from '@podsocks/shared/runtime/log';
import type { AuditSink } from './audit-log.ts';
import { lostRecord } from './audit-record.ts';

/** Where lines go. */
export interface Outlet {
  readonly stream: Writable;
  /** Whether lines are to go to another one from now on, see {@link reopen}. */
  isMoved?(): Promise<boolean>;
  /** Makes that other one, also in place of one that has failed. Throws when it cannot. */
  reopen?(): Outlet;
  /** Resolves when everything is written, or could not be. */
  end(): Promise<void>;
}

/** Lines that wait to be written; beyond it they are lost: a slow disk must not take the memory of the server. */
const MOST_WAITING_BYTES = 8 * 1024 * 1024;

/** How often it is looked whether the outlet has moved, or works again. */
const LOOK_MS = 1_000;

const LOG_INTERVAL_MS = 10_000;

/** How long the end waits for what is not written yet. */
const FLUSH_LIMIT_MS = 2_000;

/** Writes records. What goes wrong with that is logged, and counted in a record once that can be written. */
export class RecordWriter implements AuditSink {
  #outlet: Outlet;
  readonly #log: Logger;
  readonly #timer: NodeJS.Timeout;
  readonly #logLost: (reason: string) => void;
  readonly #logReopen: (reason: string) => void;
  /** Outlets that have been replaced, and still write. */
  readonly #former = new Set<Promise<void>>();
  #lost = 0;
  #looking = false;
  #closed: Promise<void> | undefined;

  constructor(outlet: Outlet, log: Logger) {
    this.#outlet = outlet;
    this.#log = log;
    this.#logLost = atMostEvery(LOG_INTERVAL_MS, (count, reason) =>
      log.error({ count, reason }, 'audit records were lost'),
    );
    this.#logReopen = atMostEvery(LOG_INTERVAL_MS, (_, reason) =>
      log.error({ reason }, 'the file of the audit records could not be opened again'),
    );
    outlet.stream.on('error', ignore);
    this.#timer = setInterval(() => void this.#look(), LOOK_MS).unref();
  }

  write(line: string): void {
    if (this.#closed !== undefined) return;
    const { stream } = this.#outlet;
    if (stream.destroyed) this.#lose('writing has failed');
    else if (stream.writableLength + line.length > MOST_WAITING_BYTES) this.#lose('too many wait to be written');
    else stream.write(line, this.#onWritten);
  }

  /** Goes on in another file if the path leads to another. */
  async #look(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    if (this.#outlet.stream.destroyed || (await this.#outlet.isMoved?.())) this.reopen();
    this.#looking = false;
    if (this.#closed === undefined) this.#tellLost();
  }

  /** Goes on in the file that the path leads to now. */
  reopen(): void {
    if (this.#closed !== undefined || this.#outlet.reopen === undefined) return;
    let outlet: Outlet;
    try {
      outlet = this.#outlet.reopen();
    } catch (error) {
      this.#logReopen((error as Error).message);
      return;
    }
    outlet.stream.on('error', ignore);
    const ended = this.#outlet.end().finally(() => this.#former.delete(ended));
    this.#former.add(ended);
    this.#outlet = outlet;
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    clearInterval(this.#timer);
    this.#tellLost();
    let timer: NodeJS.Timeout | undefined;
    const limit = new Promise<boolean>(resolve => {
      timer = setTimeout(resolve, FLUSH_LIMIT_MS, false);
    });
    const written = Promise.all([this.#outlet.end(), ...this.#former]).then(() => true);
    if (!(await Promise.race([written, limit]))) {
      this.#log.error({ bytes: this.#outlet.stream.writableLength }, 'audit records were not written in time');
    }
    clearTimeout(timer);
  }

  readonly #onWritten = (error: Error | null | undefined): void => {
    if (error) this.#lose(error.message);
  };

  #lose(reason: string): void {
    this.#lost++;
    this.#logLost(reason);
  }

  #tellLost(): void {
    const { stream } = this.#outlet;
    if (this.#lost === 0 || stream.destroyed || stream.writableLength > MOST_WAITING_BYTES / 2) return;
    const count = this.#lost;
    this.#lost = 0;
    stream.write(lostRecord(count), error => {
      if (error) this.#lost += count;
    });
  }
}

/** What was written is told of by its callback. */
function ignore(): void {}
