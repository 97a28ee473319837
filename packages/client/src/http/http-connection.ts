import type { ServerResponse } from 'node:http';
import { type Duplex, pipeline } from 'node:stream';
import type { Connection } from '@podsocks/shared/net/connection';
import { ConnectionDuplex } from '@podsocks/shared/net/connection-duplex';
import type { IdleClock, Idling } from '@podsocks/shared/net/idle-clock';
import type { Endpoint } from '@podsocks/shared/net/listener';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import type { Logger } from '@podsocks/shared/runtime/log';
import type { Target } from '@podsocks/shared/wire/address';
import { ipv4OfMapped } from '@podsocks/shared/wire/mapped-address';
import type { OpenStreamOptions } from '../open-stream.ts';
import { OriginAgent } from './origin-agent.ts';

/** More requests than this that wait for their answers are no pipeline, but a flood. */
const MOST_UNANSWERED = 64;

/** Behind so many bytes nothing more is read while requests wait: some ordinary heads, or one of the longest. */
const READ_AHEAD_BYTES = 64 * 1024;

/** A client that has ended its side, and gets no byte for so long, has gone; as relay.ts has it. */
const HALF_CLOSED_TIMEOUT_MS = 30_000;

export interface HttpConnectionOptions {
  readonly connection: Connection;
  /** What was read already. */
  readonly first: Uint8Array;
  /** The client's address. */
  readonly client: string;
  readonly clock: IdleClock;
  /** Milliseconds for a head, and for a client to close after its last answer. */
  readonly handshakeTimeout: number;
  /** Milliseconds without a request, or within one without a byte. */
  readonly idleTimeout: number;
  readonly open: (target: Target, from: HttpConnection, options: Required<OpenStreamOptions>) => Promise<Duplex>;
  readonly log: Logger;
}

/** A client's connection: its requests have their turn one by one, and its streams to servers end with it. */
export class HttpConnection implements Idling {
  readonly connection: Connection;
  readonly client: string;
  readonly stream: ConnectionDuplex;
  readonly agent: OriginAgent;
  /** Who has given a password with the last request. */
  username: string | undefined;
  idleFor = 0;
  readonly #options: HttpConnectionOptions;
  readonly #gone = new AbortController();
  /** When the last request has its answer. */
  #turn: Promise<void> = Promise.resolve();
  #unanswered = 0;
  #isAnswering = false;
  #isSpliced = false;
  #hasAsked = false;
  #isDraining = false;
  /** Bytes either way, when the clock last looked. */
  #moved = 0;
  #hasBegunHead = false;
  /** Bytes of the client, when at most one request was left without an answer. */
  #readBefore = 0;
  #isHeldBack = false;

  constructor(options: HttpConnectionOptions) {
    this.#options = options;
    this.connection = options.connection;
    this.client = options.client;
    this.stream = new ConnectionDuplex(options.connection, options.first);
    // Node's server writes heads without saying how, and one character of them is one byte.
    this.stream.setDefaultEncoding('latin1');
    this.agent = new OriginAgent(target => options.open(target, this, { signal: this.#gone.signal }));
    options.clock.add(this);
    this.stream.once('finish', () => this.#linger()).once('close', () => this.#release());
  }

  /** Runs `answer` when all requests before have their answers, if there still is somebody to answer. */
  inTurn(response: ServerResponse, answer: () => void): void {
    this.#unanswered++;
    this.#hasAsked = true;
    if (this.#unanswered > MOST_UNANSWERED) {
      this.stream.destroy(new PodsocksError('ERR_LIMIT', `more than ${MOST_UNANSWERED} requests without an answer`));
      return;
    }
    this.#holdBack();
    response.on('error', error => this.stream.destroy(error));
    response.once('close', () => {
      this.#unanswered--;
      this.#isAnswering = false;
      this.#readOn();
      this.#restart();
      if (this.#isDraining) this.drain();
    });
    this.afterwards(() => {
      this.#isAnswering = true;
      answer();
    });
    this.#turn = new Promise(resolve => response.once('close', resolve));
  }

  /** Runs `task` when all requests so far have their answers, guarded. */
  afterwards(task: () => void): void {
    void this.#turn.then(() => {
      if (this.stream.writable) this.guard(task);
    });
  }

  /** Runs `task`, which is part of an event that only this connection is concerned with: what it throws ends this connection. */
  guard(task: () => void): void {
    try {
      task();
    } catch (error) {
      this.fail(error as Error);
    }
  }

  /** Ends at once, for what should not have happened: that one client or its target brings about must not end the others. */
  fail(error: Error): void {
    this.#options.log.error({ err: error, client: this.client }, 'a request to the HTTP port failed');
    this.stream.destroy(error);
    this.connection.reset(); // which the stream may have given back already
  }

  /** The address that the client has connected to. */
  get local(): Endpoint {
    const { localAddress = '', localPort = 0 } = this.connection.socket;
    return { host: ipv4OfMapped(localAddress) ?? localAddress, port: localPort };
  }

  /** Whether an answer is under way, or what it is for. */
  get isAnswering(): boolean {
    return this.#isAnswering;
  }

  /** Says the last word, and waits for the client to close: so the end is a FIN, which leaves the word readable. */
  endWith(bytes?: Uint8Array): void {
    this.stream.end(bytes);
  }

  /** From here on it is bytes, both ways, until both have ended or one fails. */
  splice(other: Duplex): void {
    this.#isSpliced = true;
    // Two pipelines, and who has opened it: that is no leak.
    for (const stream of [this.stream, other]) stream.setMaxListeners(0);
    pipeline(this.stream, other, ignore);
    pipeline(other, this.stream, ignore);
  }

  /** Ends with the last answer that is due; that to a first request is. */
  drain(): void {
    this.#isDraining = true;
    if (this.#unanswered === 0 && this.#hasAsked) this.stream.end();
  }

  get idleLimit(): number {
    const { handshakeTimeout, idleTimeout } = this.#options;
    if (this.#isOver) return handshakeTimeout;
    if (this.#unanswered === 0) return this.#hasBegunHead ? handshakeTimeout : idleTimeout;
    const isHalfClosed = this.stream.readableEnded || this.stream.writableEnded;
    return isHalfClosed ? Math.min(HALF_CLOSED_TIMEOUT_MS, idleTimeout) : idleTimeout;
  }

  /** Asked by the clock. Only within a request bytes are activity; between two of them, the first is. */
  get active(): boolean {
    if (this.#isOver) return false;
    const { bytesRead, bytesWritten } = this.connection.socket;
    const hasMoved = bytesRead + bytesWritten > this.#moved;
    this.#moved = bytesRead + bytesWritten;
    if (!hasMoved || this.#unanswered > 0) return hasMoved;
    const isFirst = !this.#hasBegunHead;
    this.#hasBegunHead = true;
    return isFirst;
  }

  set active(_active: boolean) {}

  expire(): void {
    if (this.#unanswered === 0 || this.#isOver) this.stream.destroy();
    else this.stream.destroy(new PodsocksError('ERR_TIMEOUT', `no byte for ${this.idleFor / 1000} s`));
  }

  /** Whether the client has had its last word. */
  get #isOver(): boolean {
    return this.stream.writableEnded && !this.#isSpliced;
  }

  /** Nothing will be said any more, so nothing is parsed any more. */
  #linger(): void {
    if (!this.#isSpliced) this.stream.removeAllListeners('data').resume();
    this.#restart();
  }

  /** Heads that wait take several times their bytes of memory; so the rest of a pipeline waits in the client. */
  #holdBack(): void {
    this.#isHeldBack = this.#unanswered > 1 && this.connection.socket.bytesRead - this.#readBefore > READ_AHEAD_BYTES;
    if (!this.#isHeldBack) return;
    // Node's server reads on when it has parsed a request, so not before that.
    process.nextTick(() => {
      if (this.#isHeldBack && this.#isParsed) this.stream.pause();
    });
  }

  #readOn(): void {
    if (this.#unanswered > 1) return;
    this.#readBefore = this.connection.socket.bytesRead;
    if (this.#isHeldBack && this.#isParsed) this.stream.resume();
    this.#isHeldBack = false;
  }

  /** What follows CONNECT or an upgrade is not: it is for whoever takes it over. */
  get #isParsed(): boolean {
    return this.stream.listenerCount('data') > 0;
  }

  /** Another limit begins. */
  #restart(): void {
    const { bytesRead, bytesWritten } = this.connection.socket;
    this.#moved = bytesRead + bytesWritten;
    this.#hasBegunHead = false;
    this.idleFor = 0;
  }

  #release(): void {
    this.#options.clock.remove(this);
    this.#gone.abort();
    this.agent.destroy();
  }
}

/** Both streams end with what ends one of them. */
function ignore(): void {}
