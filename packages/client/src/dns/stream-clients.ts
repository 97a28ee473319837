import type { Socket } from 'node:net';
import { framed, MessageFrames } from '@podsocks/shared/dns/message-frames';

export interface StreamClientsOptions {
  /** @returns the reply; undefined: none. Never rejects. */
  readonly respond: (message: Buffer) => Promise<Buffer | undefined>;
}

/** Connections at a time; beyond it the one makes room that has been idle for longest. */
const MOST_CLIENTS = 128;

/** Without a query, or the end of an answer (RFC 7766 section 6.2.3 leaves it to the server). Queries take 5 s at most. */
const IDLE_MS = 10_000;

/** Queries of one connection that are answered at a time; it is not read while there are more. */
const MOST_QUERIES = 32;

/** The longest query is a name and some options. */
const MAX_QUERY_BYTES = 4096;

/** Clients by TCP: several queries on a connection, answered as soon as their answers come (RFC 7766 section 7). */
export class StreamClients {
  readonly #options: StreamClientsOptions;
  /** In the order in which something was last heard of them. */
  readonly #clients = new Map<Socket, Client>();
  #isClosing = false;

  constructor(options: StreamClientsOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#clients.size;
  }

  /** Takes in a connection, of which nothing has been read. */
  accept(socket: Socket): void {
    if (this.#isClosing) {
      socket.destroy();
      return;
    }
    if (this.#clients.size >= MOST_CLIENTS) {
      const [oldest] = this.#clients.keys();
      oldest!.destroy();
    }
    const client = new Client(socket, this.#options.respond, () => {
      this.#clients.delete(socket);
      this.#clients.set(socket, client);
    });
    this.#clients.set(socket, client);
    socket.once('close', () => this.#clients.delete(socket));
  }

  /** No more queries; connections end with their last answer. Resolves when all of those are on their way. */
  async drain(): Promise<void> {
    this.#isClosing = true;
    await Promise.all(Array.from(this.#clients.values(), client => client.finish()));
  }

  close(): void {
    this.#isClosing = true;
    for (const socket of this.#clients.keys()) socket.destroy();
  }
}

class Client {
  readonly #socket: Socket;
  readonly #respond: StreamClientsOptions['respond'];
  readonly #stirred: () => void;
  readonly #frames = new MessageFrames(MAX_QUERY_BYTES);
  readonly #timer: NodeJS.Timeout;
  #queue: Buffer[] = [];
  #answering = 0;
  #isFinishing = false;
  #onFinished = () => {};

  /** @param stirred is told when it has asked, or taken an answer. */
  constructor(socket: Socket, respond: StreamClientsOptions['respond'], stirred: () => void) {
    this.#socket = socket;
    this.#respond = respond;
    this.#stirred = stirred;
    this.#timer = setTimeout(() => socket.destroy(), IDLE_MS).unref();
    socket.on('data', chunk => this.#receive(chunk));
    socket.on('end', () => void this.finish());
    socket.on('error', () => {}); // 'close' follows
    socket.on('close', () => {
      clearTimeout(this.#timer);
      this.#queue = [];
      this.#onFinished();
    });
    socket.resume();
  }

  /** Takes no more queries. Resolves when the last answer is on its way, or the connection closed. */
  finish(): Promise<void> {
    this.#isFinishing = true;
    return new Promise(resolve => {
      const before = this.#onFinished;
      this.#onFinished = () => {
        before();
        resolve();
      };
      if (this.#socket.closed) this.#onFinished();
      else this.#goOn();
    });
  }

  #receive(chunk: Buffer): void {
    if (this.#isFinishing) return;
    const messages = this.#frames.take(chunk);
    if (messages === undefined) {
      this.#socket.destroy();
      return;
    }
    if (messages.length === 0) return; // bytes alone are no sign of life
    this.#stir();
    this.#queue.push(...messages);
    this.#goOn();
  }

  #goOn(): void {
    while (this.#queue.length > 0 && this.#answering < MOST_QUERIES) void this.#answer(this.#queue.shift()!);
    if (this.#isFinishing && this.#queue.length === 0 && this.#answering === 0) {
      this.#socket.end();
      this.#onFinished();
    }
    if (this.#queue.length > 0) this.#socket.pause();
    else this.#socket.resume();
  }

  async #answer(message: Buffer): Promise<void> {
    this.#answering++;
    const reply = await this.#respond(message);
    // A client that does not read its answers gets no more of them than it may have queries.
    if (reply !== undefined && this.#socket.writable) {
      await new Promise<void>(resolve => this.#socket.write(framed(reply), () => resolve()));
      this.#stir();
    }
    this.#answering--;
    this.#goOn();
  }

  #stir(): void {
    if (this.#socket.destroyed) return;
    this.#timer.refresh();
    this.#stirred();
  }
}
