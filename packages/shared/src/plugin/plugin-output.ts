import { StringDecoder } from 'node:string_decoder';
import { atMostEvery } from '../runtime/at-most-every.ts';
import type { Logger } from '../runtime/log.ts';
import { pluginOptions } from './plugin-options.ts';

/** What of a plugin's lines is logged: some at a time, and of each not more than a screen is wide. */
const LINES_AT_A_TIME = 50;
const INTERVAL_MS = 10_000;
const LINE_LENGTH = 500;

/** How many lines are remembered to be told when it ends. */
const LAST_LINES = 3;

/** Options with such a name hold what nobody is to read in a log. */
const SECRET_NAME = /pass|key|secret|psk|token|auth|uid/i;
/** Shorter ones would be found in any line. */
const SECRET_MIN_LENGTH = 4;

/** What a stream has told of late; `line` is the one that has not ended. */
interface Stream {
  readonly decoder: StringDecoder;
  line: string;
  readonly last: string[];
}

/**
 * What a plugin writes, on its way into the log: stderr as info, stdout as debug. However much it writes, it never has to
 * wait, little of it is kept, and what it repeats of its secret options is taken out.
 */
export class PluginOutput {
  readonly #name: string;
  readonly #log: Logger;
  readonly #secrets: RegExp;
  /** How much of a line is kept: a secret that begins in what is shown has to be whole, or it would not be known as one. */
  readonly #keptLength: number;
  readonly #streams: Record<'stdout' | 'stderr', Stream> = { stdout: newStream(), stderr: newStream() };
  readonly #logFlood: (lines: undefined) => void;
  #intervalBegan = Number.NEGATIVE_INFINITY;
  #linesLogged = 0;

  /** @param options of the plugin, in which secrets are. */
  constructor(name: string, options: string | undefined, log: Logger) {
    this.#name = name;
    this.#log = log;
    const secrets = secretsIn(options ?? '');
    this.#secrets = new RegExp(secrets.map(escaped).join('|') || NEVER, 'g');
    this.#keptLength = LINE_LENGTH + (secrets[0]?.length ?? 0);
    this.#logFlood = atMostEvery(INTERVAL_MS, () =>
      log.warn({ plugin: name }, `${name} writes more than is logged; some of it is left out`),
    );
  }

  /** Takes what the plugin wrote. */
  feed(name: 'stdout' | 'stderr', bytes: Buffer): void {
    const stream = this.#streams[name];
    const lines = (stream.line + stream.decoder.write(bytes)).split('\n');
    stream.line = lines.pop()!.slice(0, this.#keptLength);
    for (const line of lines) this.#take(name, line.slice(0, this.#keptLength));
  }

  /** The plugin has ended: what it did not end a line with is one, too. */
  end(): void {
    for (const name of ['stdout', 'stderr'] as const) {
      const stream = this.#streams[name];
      this.#take(name, stream.line);
      stream.line = '';
    }
  }

  /** The end of what it wrote, on one line; empty if it wrote nothing. */
  lastWords(): string {
    for (const { last, line } of [this.#streams.stderr, this.#streams.stdout]) {
      const told = [...last, line].filter(each => SOMETHING.test(each)).slice(-LAST_LINES);
      if (told.length > 0) return told.map(each => this.#clean(each)).join(' | ');
    }
    return '';
  }

  #take(name: 'stdout' | 'stderr', line: string): void {
    if (!SOMETHING.test(line)) return;
    const { last } = this.#streams[name];
    last.push(line);
    if (last.length > LAST_LINES) last.shift();
    if (this.#mayLog()) this.#tell(name, this.#clean(line));
    else this.#logFlood(undefined);
  }

  #tell(name: 'stdout' | 'stderr', text: string): void {
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
    const plain = line.replace(/\p{Cc}/gu, ' ');
    let text = '';
    let at = 0;
    for (const { index, 0: secret } of plain.matchAll(this.#secrets)) {
      if (index >= LINE_LENGTH) break;
      text += `${plain.slice(at, index)}[redacted]`;
      at = index + secret.length;
    }
    text += plain.slice(at, Math.max(at, LINE_LENGTH));
    return text.trim() + (plain.length > LINE_LENGTH ? '…' : '');
  }
}

const newStream = (): Stream => ({ decoder: new StringDecoder('utf8'), line: '', last: [] });

/** What is in a line that is not blank. */
const SOMETHING = /[^\s\p{Cc}]/u;

/** An expression that nothing matches. */
const NEVER = '(?!)';

function escaped(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
}

/** What is not to be repeated, the longest first, as one may be a part of another. */
function secretsIn(options: string): readonly string[] {
  const values = pluginOptions(options).flatMap(({ name, value, text }) =>
    SECRET_NAME.test(name) && value !== undefined ? [value, text.slice(text.indexOf('=') + 1)] : [],
  );
  return [options, ...values]
    .filter(secret => secret.length >= SECRET_MIN_LENGTH)
    .sort((one, other) => other.length - one.length);
}
