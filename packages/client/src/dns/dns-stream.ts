import type { Duplex } from 'node:stream';
import { framed, MessageFrames } from '@podsocks/shared/dns/message-frames';
import { MalformedMessage } from '@podsocks/shared/dns/record-walk';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { random } from '@podsocks/shared/runtime/random';
import type { DnsQuery } from './query.ts';
import { type RawAnswer, readAnswer } from './raw-answer.ts';
import { encodeForwarded } from './reply.ts';

/** CoreDNS closes a connection after 128 questions, and would leave those without an answer that are on their way. */
const MOST_QUESTIONS = 100;

/** CoreDNS closes idle connections after 8 s, so that a question could meet the end. */
const IDLE_MS = 5_000;

/** Others do not wait behind a question that is without an answer for so long: the connection may be dead. */
const STALL_MS = 1_000;

const MAX_MESSAGE_BYTES = 0xffff;

interface Asked {
  readonly message: Buffer;
  readonly query: DnsQuery;
  readonly since: number;
  readonly timer: NodeJS.Timeout;
  /** Undefined when nobody waits any more; its id stays taken until its answer comes. */
  settle: ((outcome: RawAnswer | Error) => void) | undefined;
}

/** A connection to a DNS server, with many questions on their way at a time (RFC 7766 section 6.2.1.1). */
export class DnsStream {
  readonly #stream: Duplex;
  readonly #ended: () => void;
  readonly #frames = new MessageFrames(MAX_MESSAGE_BYTES);
  readonly #asked = new Map<number, Asked>();
  #waiting = 0;
  #questions = 0;
  #isRetired = false;
  #hasEnded = false;
  #idle: NodeJS.Timeout | undefined;

  /** @param ended is told once that there is nothing more to ask it, nor to hear from it. */
  constructor(stream: Duplex, ended: () => void) {
    this.#stream = stream;
    this.#ended = ended;
    stream.on('data', (chunk: Buffer) => this.#receive(chunk));
    stream.on('error', error => this.#end(error));
    stream.on('end', () => this.#end(GONE));
    stream.on('close', () => this.#end(GONE));
    this.#rest();
  }

  /** Whether the next question may go here. */
  isFree(now: number): boolean {
    if (this.#isRetired || this.#hasEnded) return false;
    for (const { settle, since } of this.#asked.values()) if (settle && since + STALL_MS <= now) return false;
    return true;
  }

  /**
   * @param timeout milliseconds.
   * @param now on the clock of {@link isFree}.
   * @throws PodsocksError ERR_TIMEOUT, or ERR_DIAL where what came is no answer, or the connection ended.
   */
  ask(query: DnsQuery, timeout: number, now: number): Promise<RawAnswer> {
    if (++this.#questions >= MOST_QUESTIONS) this.#isRetired = true;
    this.#waiting++;
    clearTimeout(this.#idle);
    let id: number;
    do id = Buffer.from(random(2)).readUInt16BE(0);
    while (this.#asked.has(id));
    const message = encodeForwarded(query, id, { withEdns: true });
    return new Promise((resolve, reject) => {
      const settle = (outcome: RawAnswer | Error) => {
        clearTimeout(asked.timer);
        asked.settle = undefined;
        this.#waiting--;
        this.#rest();
        if (outcome instanceof Error) reject(failure(outcome));
        else resolve(outcome);
      };
      const late = () => {
        this.#isRetired = true; // it may be dead
        settle(new PodsocksError('ERR_TIMEOUT', `no answer within ${timeout / 1000} s`));
      };
      const asked: Asked = { message, query, since: now, timer: setTimeout(late, timeout).unref(), settle };
      this.#asked.set(id, asked);
      this.#stream.write(framed(message));
    });
  }

  close(): void {
    this.#end(GONE);
  }

  #receive(chunk: Buffer): void {
    for (const message of this.#frames.take(chunk) ?? []) {
      const id = message.length >= 2 ? message.readUInt16BE(0) : -1;
      const asked = this.#asked.get(id);
      const answer = asked && readAnswer(message, asked.message, asked.query);
      if (asked === undefined || answer === undefined || answer === 'foreign') {
        this.#end(new Error('it answers what it was not asked'));
        return;
      }
      this.#asked.delete(id);
      asked.settle?.(answer === 'truncated' ? new Error('the answer is truncated although it came by TCP') : answer);
    }
  }

  /** When nothing is to be waited for: closes, at once if nothing more will be asked. */
  #rest(): void {
    if (this.#waiting > 0 || this.#hasEnded) return;
    clearTimeout(this.#idle);
    if (this.#isRetired) this.#end(GONE);
    else this.#idle = setTimeout(() => this.#end(GONE), IDLE_MS).unref();
  }

  #end(error: Error): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    clearTimeout(this.#idle);
    this.#stream.destroy();
    const asked = [...this.#asked.values()];
    this.#asked.clear();
    for (const { settle } of asked) settle?.(error);
    this.#ended();
  }
}

const GONE = new Error('the connection ended before the answer');

function failure(error: Error): PodsocksError {
  if (error instanceof PodsocksError) return error;
  const what = error instanceof MalformedMessage ? `the answer is malformed: ${error.message}` : error.message;
  return new PodsocksError('ERR_DIAL', what, { cause: error });
}
