import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { User } from '@podsocks/shared/crypto/stream';
import type { Connection } from '@podsocks/shared/net/connection';
import { StreamDuplex, type StreamDuplexOptions } from '@podsocks/shared/net/stream-duplex';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import type { Logger } from '@podsocks/shared/runtime/log';
import { INFORMATION_HOST } from '@podsocks/shared/wire/information';
import { asAnswer, InformationError, type InformationRequest, type InformationSources } from './answer.ts';
import { info } from './info.ts';
import { policy } from './policy.ts';
import { resolve } from './resolve.ts';
import { Throughput } from './throughput.ts';

/** A name has 253 bytes, and libraries send some headers of their own. */
const MAX_HEADER_BYTES = 8 * 1024;

/** Records of a name can have 64 KiB, which in JSON are many more. */
const MAX_BODY = 32 * 1024;

/** A client that has more to ask connects again; and so the cap of connections is one of requests. */
const REQUESTS_PER_CONNECTION = 100;

/** What answers at a path: with what is to be JSON. */
type Handler = (request: InformationRequest, sources: InformationSources) => unknown;

const PATHS: Readonly<Record<string, Handler>> = { '/v1/info': info, '/v1/resolve': resolve, '/v1/policy': policy };

/** The one path whose answer is no JSON. */
const THROUGHPUT = '/v1/throughput';

/**
 * The information host: HTTP/1.1 in streams that were asked for {@link INFORMATION_HOST}. Node's own server parses it, and does
 * not listen anywhere.
 *
 * There is no time-out here: who serves a stream bounds how long its connection lasts.
 */
export class InformationServer {
  readonly #sources: InformationSources;
  readonly #log: Logger;
  readonly #http: Server;
  readonly #isGone: (user: User) => boolean;
  readonly #throughput = new Throughput();
  readonly #users = new WeakMap<object, User>();
  /** When the last request of a stream has its answer: they have their turn one by one, or many answers would wait in memory. */
  readonly #turns = new WeakMap<object, Promise<void>>();

  /** @param isGone whether a user may ask nothing any more. */
  constructor(sources: InformationSources, isGone: (user: User) => boolean, log: Logger) {
    this.#sources = sources;
    this.#isGone = isGone;
    this.#log = log;
    this.#http = createServer({ maxHeaderSize: MAX_HEADER_BYTES, keepAliveTimeout: 0 }, (request, response) => {
      const before = this.#turns.get(request.socket) ?? Promise.resolve();
      this.#turns.set(request.socket, new Promise(resolve => response.once('close', resolve)));
      void before.then(() => this.#answer(request, response));
    });
    // Who has asked may end before the answer. Not in @types/node, but in node:http since 0.5.
    Object.assign(this.#http, { httpAllowHalfOpen: true });
    this.#http.maxRequestsPerSocket = REQUESTS_PER_CONNECTION;
    this.#http.on('clientError', (_error, stream) => {
      if (stream.writable) stream.end(BAD_REQUEST);
      else stream.destroy();
    });
  }

  /**
   * Answers what comes in one stream. The connection is the caller's afterwards.
   *
   * @returns why it ended, undefined where that was in order.
   */
  serve(options: StreamDuplexOptions & { readonly connection: Connection }, user: User): Promise<Error | undefined> {
    const stream = new StreamDuplex(options);
    this.#users.set(stream, user);
    return new Promise(resolve => {
      stream.once('close', () => resolve(stream.errored ?? undefined));
      stream.on('error', () => {}); // 'close' follows
      this.#http.emit('connection', stream);
    });
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (!this.#mayAsk(request)) return;
    // A body would be read to its end, whatever its length, before the next request.
    const hasBody = request.headers['content-length'] !== undefined || 'transfer-encoding' in request.headers;
    if (hasBody) response.setHeader('Connection', 'close');
    try {
      const answer = await this.#answerTo(request, response);
      if (answer !== undefined && this.#mayAsk(request)) send(response, 200, answer);
    } catch (thrown) {
      const error = asAnswer(thrown);
      if (error instanceof InformationError) {
        if (error.status === 405) response.setHeader('Allow', 'GET');
        send(response, error.status, { error: { code: error.code, message: error.message } });
        return;
      }
      this.#log.error({ err: thrown }, 'a request to the information host failed');
      send(response, 500, { error: { code: 'internal', message: 'this should not happen; see the log of ss-server' } });
    }
  }

  /** Ends the stream of somebody who is no user any more. */
  #mayAsk({ socket }: IncomingMessage): boolean {
    if (socket.destroyed) return false;
    if (!this.#isGone(this.#users.get(socket)!)) return true;
    socket.destroy(new PodsocksError('ERR_CLOSED', 'its user is gone'));
    return false;
  }

  /** @returns what is to be sent as JSON; undefined where the answer is on its way. */
  #answerTo({ method, url = '/', socket }: IncomingMessage, response: ServerResponse): unknown {
    // A proxy's client may ask by the whole URL.
    const asked = URL.canParse(url, BASE) ? new URL(url, BASE) : undefined;
    const handler = asked && Object.hasOwn(PATHS, asked.pathname) ? PATHS[asked.pathname] : undefined;
    if (asked === undefined || (handler === undefined && asked.pathname !== THROUGHPUT)) {
      const paths = [...Object.keys(PATHS), THROUGHPUT];
      throw new InformationError(404, 'no-such-path', `there is no such path; try ${paths.join(', ')}`);
    }
    if (method !== 'GET') throw new InformationError(405, 'method-not-allowed', `${asked.pathname} takes GET only`);
    const from = { user: this.#users.get(socket)!.name, parameters: asked.searchParams };
    return handler === undefined ? this.#throughput.send(from, response) : handler(from, this.#sources);
  }
}

const BASE = `http://${INFORMATION_HOST.host}`;

const HEADERS = { 'Content-Type': 'application/json; charset=utf-8', 'Cache-Control': 'no-store' } as const;

function send(response: ServerResponse, status: number, answer: unknown): void {
  const body = `${JSON.stringify(answer)}\n`;
  if (body.length > MAX_BODY) {
    send(response, 502, {
      error: { code: 'too-long', message: 'the answer is too long for this; ask the DNS server' },
    });
    return;
  }
  response.writeHead(status, { ...HEADERS, 'Content-Length': Buffer.byteLength(body) }).end(body);
}

/** What cannot be parsed has no response object. */
const BAD_REQUEST = (() => {
  const body = `${JSON.stringify({ error: { code: 'bad-request', message: 'this is no HTTP/1.1, or too long' } })}\n`;
  const headers = { ...HEADERS, 'Content-Length': Buffer.byteLength(body), Connection: 'close' };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 400 Bad Request\r\n${lines.join('')}\r\n${body}`;
})();
