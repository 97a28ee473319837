import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { listenError } from '@podsocks/shared/net/listen-error';
import type { Endpoint } from '@podsocks/shared/net/listener';
import { atMostEvery } from '@podsocks/shared/runtime/at-most-every';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import type { Logger } from '@podsocks/shared/runtime/log';

/** What a request is answered with. */
export interface Page {
  readonly status: number;
  /** Default: plain text. */
  readonly type?: string;
  readonly body: string;
}

/** Pages by path; each is made when it is asked for. */
export type Pages = Readonly<Record<string, () => Page | Promise<Page>>>;

export interface AdminLimits {
  /** Connections at a time; the oldest makes room for the next. */
  readonly connections: number;
  /** How long one may last, in milliseconds, whatever its peer does. */
  readonly lifetime: number;
}

/** Two scrapes and a kubelet's probes are five. The descriptors are of those that are set aside (descriptors.ts). */
const LIMITS: AdminLimits = { connections: 8, lifetime: 15_000 };

const MAX_HEADER_BYTES = 8 * 1024;
const LOG_MS = 10_000;
const PLAIN = 'text/plain; charset=utf-8';

/**
 * The HTTP port for machines that look after the server. It trusts nobody: a connection gets one answer and a bounded time,
 * and when there are too many the oldest goes, so that nobody can keep the probes of a kubelet from being answered.
 */
export class AdminListener {
  readonly #pages: Pages;
  readonly #limits: AdminLimits;
  readonly #server: Server;
  /** Oldest first, with the timer of its end. */
  readonly #connections = new Map<Socket, NodeJS.Timeout>();
  readonly #asked = new WeakSet<Socket>();
  readonly #logFault: (err: unknown) => void;

  constructor(pages: Pages, { log, limits = LIMITS }: { readonly log: Logger; readonly limits?: AdminLimits }) {
    this.#pages = pages;
    this.#limits = limits;
    this.#logFault = atMostEvery<unknown>(LOG_MS, (count, err) => log.error({ count, err }, 'an admin page failed'));
    this.#server = createServer({ maxHeaderSize: MAX_HEADER_BYTES }, (request, response) => {
      void this.#answer(request, response);
    });
    this.#server.on('connection', socket => this.#take(socket));
  }

  /**
   * @returns where it listens.
   * @throws PodsocksError ERR_LISTEN.
   */
  listen(endpoint: Endpoint): Promise<Endpoint> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', error => {
        reject(new PodsocksError('ERR_LISTEN', `--admin: ${listenError('TCP', endpoint, error).message}`));
      });
      this.#server.listen({ host: endpoint.host, port: endpoint.port }, () => {
        this.#server.removeAllListeners('error');
        this.#server.on('error', this.#logFault);
        const { address, port } = this.#server.address() as AddressInfo;
        resolve({ host: address, port });
      });
    });
  }

  /** Ends it, with all connections. */
  async close(): Promise<void> {
    const closed = new Promise(resolve => this.#server.close(resolve));
    for (const socket of this.#connections.keys()) socket.destroy();
    await closed;
  }

  #take(socket: Socket): void {
    const { connections, lifetime } = this.#limits;
    const [oldest] = this.#connections.keys();
    if (oldest !== undefined && this.#connections.size >= connections) {
      this.#forget(oldest); // it is closed later, and must not be chosen again until then
      oldest.destroy();
    }
    this.#connections.set(
      socket,
      setTimeout(() => socket.destroy(), lifetime),
    );
    socket.once('close', () => this.#forget(socket));
  }

  #forget(socket: Socket): void {
    clearTimeout(this.#connections.get(socket));
    this.#connections.delete(socket);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { socket, method, url = '' } = request;
    // What comes behind the first request is not waited for by anybody in good faith.
    if (this.#asked.has(socket)) {
      socket.destroy();
      return;
    }
    this.#asked.add(socket);
    const [path = ''] = url.split('?', 1);
    const { status, type = PLAIN, body } = await this.#pageOf(method, path);
    response.writeHead(status, {
      'Content-Type': type,
      'Content-Length': Buffer.byteLength(body),
      'Cache-Control': 'no-store',
      'X-Content-Type-Options': 'nosniff',
      Connection: 'close',
      ...(status === 405 && { Allow: 'GET, HEAD' }),
    });
    response.end(body);
  }

  async #pageOf(method: string | undefined, path: string): Promise<Page> {
    if (method !== 'GET' && method !== 'HEAD') return { status: 405, body: 'GET and HEAD only\n' };
    const page = Object.hasOwn(this.#pages, path) ? this.#pages[path] : undefined;
    if (page === undefined) return { status: 404, body: 'no such page; see /\n' };
    try {
      return await page();
    } catch (error) {
      this.#logFault(error);
      return { status: 500, body: 'this failed; the log of ss-server says why\n' };
    }
  }
}
