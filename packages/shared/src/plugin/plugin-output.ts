import { StringDecoder } from 'node:string_decoder';
import { atMostEvery } from '../runtime/at-most-every.ts';
import type { Logger } from '../runtime/log.ts';
import { pluginOptions } from './plugin-options.ts';

/** What of a plugin's lines is logged: some at a time, and of each not more than a screen is wide. */
const LINES_AT_A_TIME = 50;
const INTERVAL_MS = 10_000;
const LINE_LENGTH = 500;

/** What is remembered to be told when it ends. */
const TAIL_LENGTH = 2_000;
const LAST_LINES = 3;

/** Options with such a name hold what nobody is to read in a log. */
const SECRET_NAME = /pass|key|secret|psk|token|auth|uid/i;
/** Shorter ones would be found in any line. */
const SECRET_MIN_LENGTH = 4;

/** How much a stream told already; `line` is the one that has not ended. */
interface Stream {
  readonly decoder: StringDecoder;
  line: string;
  tail: string;
}

/**
 * What a plugin writes, on its way into the log: stderr as info, stdout as debug. However much it writes, it never has to
 * wait, little of it is kept, and what it repeats of its secret options is taken out.
 */
export class PluginOutput {
  readonly #name: string;
  readonly #log: Logger;
  readonly #secrets: readonly string[];
  readonly #streams: Record<'stdout' | 'stderr', Stream> = { stdout: newStream(), stderr: newStream() };
  readonly #logFlood: (lines: undefined) => void;
  #intervalBegan = Number.NEGATIVE_INFINITY;
  #linesLogged = 0;

  /** @param options of the plugin, in which secrets are. */
  constructor(name: string, options: string | undefined, log: Logger) {
    this.#name = name;
    this.#log = log;
    this.#secrets = secretsIn(options ?? '');
    this.#logFlood = atMostEvery(INTERVAL_MS, () =>
      log.warn({ plugin: name }, `${name} writes more than is logged; some of it is left out`),
    );
  }

  /** Takes what the plugin wrote. */
  feed(name: 'stdout' | 'stderr', bytes: Buffer): void {
    const stream = this.#streams[name];
    const text = stream.decoder.write(bytes);
    stream.tail = (stream.tail + text).slice(-TAIL_LENGTH);
    if (!this.#mayLog()) {
      stream.line = '';
      this.#logFlood(undefined);
      return;
    }
    const lines = (stream.line + text).split('\n');
    stream.line = lines.pop()!.slice(0, LINE_LENGTH);
    for (const line of lines) this.#tell(name, line);
  }

  /** The plugin has ended: what it did not end a line with is one, too. */
  end(): void {
    for (const name of ['stdout', 'stderr'] as const) {
      const stream = this.#streams[name];
      this.#tell(name, stream.line);
      stream.line = '';
    }
  }

  /** The end of what it wrote, on one line; empty if it wrote nothing. */
  lastWords(): string {
    for (const { tail } of [this.#streams.stderr, this.#streams.stdout]) {
      const lines = tail.split('\n').map(line => this.#clean(line));
      const last = lines.filter(line => line !== '').slice(-LAST_LINES);
      if (last.length > 0) return last.join(' | ');
    }
    return '';
  }

  #tell(name: 'stdout' | 'stderr', line: string): void {
    const text = this.#clean(line);
    if (text === '') return;
    if (!this.#mayLog()) {
      this.#logFlood(undefined);
      return;
    }
    this.#linesLogged++;
    this.#log[name === 'stderr' ? 'info' : 'debug']({ plugin: this.#name }, `${this.#name}: ${text}`);
  }

  #mayLog(): boolean {
    const now = performance.now();
    if (now - this.#intervalBegan >= INTERVAL_MS) {
      this.#intervalBegan = now;
      this.#linesLogged = 0;
    }
    return this.#linesLogged < LINES_AT_A_TIME;
  }

  #clean(line: string): string {
    let text = line.replace(/\p{Cc}+/gu, ' ').trim();
    for (const secret of this.#secrets) text = text.replaceAll(secret, '[redacted]');
    return text.length > LINE_LENGTH ? `${text.slice(0, LINE_LENGTH)}…` : text;
  }
}

const newStream = (): Stream => ({ decoder: new StringDecoder('utf8'), line: '', tail: '' });

/** What is not to be repeated, the longest first, as one may be a part of another. */
function secretsIn(options: string): readonly string[] {
  const values = pluginOptions(options).flatMap(({ name, value, text }) =>
    SECRET_NAME.test(name) && value !== undefined ? [value, text.slice(text.indexOf('=') + 1)] : [],
  );
  return [options, ...values]
    .filter(secret => secret.length >= SECRET_MIN_LENGTH)
    .sort((one, other) => other.length - one.length);
}
