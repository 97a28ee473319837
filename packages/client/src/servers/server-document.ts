import { WatchedFile } from '@podsocks/shared/dns/watched-file';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import type { Logger } from '@podsocks/shared/runtime/log';
import type { PluginsOfList } from '../plugin/server-plugin.ts';
import type { Server } from '../servers.ts';
import { type DocumentSource, formatDocumentUrl } from './document-url.ts';
import { fetchDocument } from './fetch-document.ts';
import { readServerDocument } from './sip008.ts';
import type { Upstream } from './upstream/upstream.ts';

export interface ServerDocumentOptions {
  readonly source: DocumentSource;
  /** The proxy by which it is fetched. */
  readonly upstream?: Upstream | undefined;
  /** What holds for its servers; default: nothing. */
  readonly plugins?: PluginsOfList | undefined;
  readonly log: Logger;
}

const LOOK_MS = 2_000;
const REFRESH_MS = 3_600_000;
/** After a failure, and twice as long after each one more, up to {@link REFRESH_MS}. */
const RETRY_MS = 60_000;
/** Between two fetches, whoever wants one. */
const LEAST_MS = 60_000;

/** A list of servers (SIP008) that may change: a file that is looked at, or a URL that is asked every hour. */
export class ServerDocument {
  readonly #options: ServerDocumentOptions;
  readonly #place: string;
  readonly #closing = new AbortController();
  #file: WatchedFile<string | undefined> | undefined;
  #text: string | undefined;
  #etag: string | undefined;
  #changed: ((servers: readonly Server[]) => void) | undefined;
  #timer: NodeJS.Timeout | undefined;
  #failures = 0;
  #askedAt = Number.NEGATIVE_INFINITY;
  #isAsking = false;

  constructor(options: ServerDocumentOptions) {
    const { source } = options;
    this.#options = options;
    this.#place = source.kind === 'file' ? source.path : formatDocumentUrl(source.url);
  }

  /** What it says now. @throws PodsocksError that says why it cannot be had. */
  async load(): Promise<readonly Server[]> {
    try {
      const servers = await this.#read();
      if (servers !== undefined) return servers;
    } catch (error) {
      this.#failures++; // so that it is asked again soon, if somebody goes on without it
      throw error;
    }
    throw new PodsocksError('ERR_HEADER', `${this.#place}: says that nothing has changed, the first time`);
  }

  /** Looks at it from now on. What cannot be had, or is wrong, is logged, and changes nothing. */
  watch(changed: (servers: readonly Server[]) => void): void {
    this.#changed = changed;
    if (this.#options.source.kind === 'file') this.#timer = setInterval(() => void this.#update(), LOOK_MS).unref();
    else this.#plan();
  }

  /** Wants it to be fetched anew, because no server can be reached; not more often than once a minute. */
  refresh(): void {
    if (this.#options.source.kind === 'file' || this.#changed === undefined) return;
    if (performance.now() - this.#askedAt >= LEAST_MS) void this.#update();
  }

  close(): void {
    this.#closing.abort();
    clearTimeout(this.#timer);
  }

  #plan(): void {
    clearTimeout(this.#timer);
    if (this.#closing.signal.aborted) return;
    const wait = this.#failures === 0 ? REFRESH_MS : Math.min(RETRY_MS * 2 ** (this.#failures - 1), REFRESH_MS);
    this.#timer = setTimeout(() => void this.#update(), wait).unref();
  }

  async #update(): Promise<void> {
    if (this.#isAsking) return;
    this.#isAsking = true;
    const { log, source } = this.#options;
    try {
      const servers = await this.#read();
      this.#failures = 0;
      if (servers !== undefined && !this.#closing.signal.aborted) {
        log.info({ servers: servers.length }, `the list of servers has changed: ${this.#place}`);
        this.#changed?.(servers);
      }
    } catch (error) {
      this.#failures++;
      if (!this.#closing.signal.aborted) log.warn(`${(error as Error).message}; going on with the servers from before`);
    }
    this.#isAsking = false;
    if (source.kind === 'url') this.#plan();
  }

  /** @returns undefined where nothing has changed. */
  async #read(): Promise<readonly Server[] | undefined> {
    const { source, upstream } = this.#options;
    if (source.kind === 'file') return this.#parse(this.#readFile(source.path));
    this.#askedAt = performance.now();
    const fetched = await fetchDocument(source.url, { etag: this.#etag, upstream, signal: this.#closing.signal });
    if (fetched === undefined) return undefined;
    const servers = this.#parse(fetched.text);
    this.#etag = fetched.etag; // of what was right only
    return servers;
  }

  #readFile(path: string): string {
    this.#file ??= new WatchedFile({ path, parse: text => text, now: () => performance.now() });
    const text = this.#file.content();
    if (text !== undefined) return text;
    if (this.#text === MISSING) return MISSING; // has been said
    this.#text = MISSING;
    throw new PodsocksError('ERR_CONFIG', `cannot read the list of servers ${path}; check the path`);
  }

  #parse(text: string): readonly Server[] | undefined {
    if (text === this.#text) return undefined;
    this.#text = text;
    return readServerDocument(text, this.#place, this.#options.plugins);
  }
}

/** In place of a text. */
const MISSING = '';
