import { createServer, type IncomingMessage, type Server, ServerResponse } from 'node:http';
import { hostname } from 'node:os';
import type { Duplex } from 'node:stream';
import type { Connection } from '@podsocks/shared/net/connection';
import type { ConnectionDuplex } from '@podsocks/shared/net/connection-duplex';
import { IdleClock } from '@podsocks/shared/net/idle-clock';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import type { Logger } from '@podsocks/shared/runtime/log';
import type { Target } from '@podsocks/shared/wire/address';
import type { ConnectRequest } from '../connect-request.ts';
import type { OpenStreamOptions } from '../open-stream.ts';
import type { SocksUser } from '../socks-users.ts';
import { refusedConnect } from './failure.ts';
import { forward, MAX_HEAD_BYTES } from './forward.ts';
import { HttpConnection } from './http-connection.ts';
import type { Page } from './local-pages.ts';
import { answerWith, encodeAnswer, type OwnAnswer, textAnswer } from './own-answer.ts';
import { RequestReader } from './request-reader.ts';
import { headWithoutUpgrade, isUpgradeWithBody, isWebSocket } from './upgrade.ts';

/** Who asks for something. */
export interface HttpClient {
  /** Address. */
  readonly client: string;
  /** Who gave a password, where one is asked for. */
  readonly username?: string;
}

export interface HttpFrontendOptions {
  /** Empty: nobody is asked. */
  readonly users: readonly SocksUser[];
  /** Opens a stream for a request that is passed on. */
  readonly openStream: (target: Target, who: HttpClient, options: Required<OpenStreamOptions>) => Promise<Duplex>;
  /** Takes over a connection that does not read, whose client has asked for CONNECT. */
  readonly connect: (connection: Connection, request: ConnectRequest, client: string) => void;
  /** By path. */
  readonly pages: ReadonlyMap<string, Page>;
  /** Whether a client is on this machine. */
  readonly isLocal: (connection: Connection) => boolean;
  /** The first request is complete, and of somebody who may ask; until then a connection is a stranger, whose deadline is its owner's. */
  readonly admit: (connection: Connection) => void;
  /** Milliseconds for the head of another request, and to close behind the last answer. */
  readonly handshakeTimeout: number;
  /** Milliseconds without a request, or within one without a byte. */
  readonly idleTimeout: number;
  readonly log: Logger;
}

/**
 * HTTP/1.1 on connections that were accepted elsewhere: CONNECT, requests to be passed on, and pages of ss-local itself. Node's own
 * server parses it, strictly, and does not listen anywhere.
 */
export class HttpFrontend {
  readonly #options: HttpFrontendOptions;
  readonly #reader: RequestReader;
  readonly #http: Server;
  readonly #clock: IdleClock;
  readonly #connections = new Map<object, HttpConnection>();
  #isDraining = false;

  constructor(options: HttpFrontendOptions) {
    this.#options = options;
    this.#reader = new RequestReader({ ...options, machineName: hostname() });
    this.#clock = new IdleClock(Math.min(options.handshakeTimeout, options.idleTimeout));
    const upgrades = { shouldUpgradeCallback: (request: IncomingMessage) => !isUpgradeWithBody(request) };
    const parsing = { maxHeaderSize: MAX_HEAD_BYTES, keepAliveTimeout: 0, insecureHTTPParser: false, ...upgrades };
    this.#http = createServer(parsing);
    // Who has asked may end before the answer. Not in @types/node, but in node:http since 0.5.
    Object.assign(this.#http, { httpAllowHalfOpen: true });
    this.#http.maxHeadersCount = 0; // all of them: those above a limit would be left out
    const onRequest = (request: IncomingMessage, response: ServerResponse) => this.#onRequest(request, response);
    this.#http
      .on('request', onRequest)
      .on('checkContinue', onRequest)
      .on('connect', (request, stream, head) => this.#onConnect(request, stream, head))
      .on('upgrade', (request, stream, head) => this.#onUpgrade(request, stream, head))
      .on('clientError', (error, stream) => this.#onMalformed(error, stream));
  }

  /**
   * Serves a connection whose client speaks HTTP. It does not read, and is not the caller's any more, unless it comes back by `connect`.
   *
   * @param first what was read already; it is kept, not copied.
   * @param client the client's address.
   */
  take(connection: Connection, first: Uint8Array, client: string): void {
    const { openStream, log } = this.#options;
    const taken = new HttpConnection({
      ...this.#options,
      connection,
      first,
      client,
      clock: this.#clock,
      open: (target, { username }, options) =>
        openStream(target, { client, ...(username !== undefined && { username }) }, options),
    });
    const { stream } = taken;
    this.#connections.set(stream, taken);
    stream.once('close', () => {
      this.#connections.delete(stream);
      if (stream.errored) log.debug({ client, reason: stream.errored.message }, 'HTTP connection closed');
    });
    if (this.#isDraining) taken.drain();
    this.#http.emit('connection', stream);
  }

  /** Connections end when the requests that they have are answered, and new ones behind their first. */
  drain(): void {
    this.#isDraining = true;
    for (const connection of this.#connections.values()) connection.drain();
  }

  /** Ends everything now. */
  close(): void {
    for (const { stream } of this.#connections.values()) {
      stream.destroy(new PodsocksError('ERR_CLOSED', 'ss-local has ended'));
    }
  }

  #onRequest(request: IncomingMessage, response: ServerResponse): void {
    const from = this.#of(request.socket);
    if (isUpgradeWithBody(request)) response.shouldKeepAlive = false;
    from?.inTurn(response, () => this.#answer(from, request, response, undefined));
  }

  #onConnect(request: IncomingMessage, stream: Duplex, head: Buffer): void {
    const from = this.#of(stream);
    from?.afterwards(() => {
      const target = this.#reader.readConnect(from, request);
      if ('status' in target) {
        from.endWith(encodeAnswer(target));
        return;
      }
      const { connection, username, client } = from;
      const rest = Buffer.concat([head, from.stream.detach()]);
      const who = username !== undefined && { username };
      this.#options.connect(connection, { command: 'connect', target, ...who, rest, encodeReply }, client);
    });
  }

  #onUpgrade(request: IncomingMessage, stream: Duplex, head: Buffer): void {
    const from = this.#of(stream);
    from?.afterwards(() => {
      if (!isWebSocket(request)) {
        stream.unshift(Buffer.concat([headWithoutUpgrade(request), head]));
        stream.removeAllListeners('pause').removeAllListeners('resume'); // Node's server leaves these behind
        this.#http.emit('connection', stream);
        return;
      }
      // Node's server has let go of it, and would have done this.
      const response = new ServerResponse(request);
      response.shouldKeepAlive = false;
      response.assignSocket(stream as never);
      stream.on('drain', () => response.emit('drain'));
      response.once('finish', () =>
        from.guard(() => {
          if (response.socket !== (stream as unknown)) return; // it is bytes by now
          response.detachSocket(stream as never);
          from.endWith();
          process.nextTick(() => response.emit('close'));
        }),
      );
      from.inTurn(response, () => this.#answer(from, request, response, head));
    });
  }

  /** @param upgrade of a request for WebSocket: what the client has sent behind its head. */
  #answer(
    from: HttpConnection,
    request: IncomingMessage,
    response: ServerResponse,
    upgrade: Uint8Array | undefined,
  ): void {
    const destination = this.#reader.read(from, request);
    if ('status' in destination) answerWith(request, response, destination);
    else forward({ connection: from, request, response, destination, upgrade });
  }

  /** What cannot be parsed has no response object. */
  #onMalformed(error: Error, stream: Duplex): void {
    const from = this.#of(stream);
    if (from === undefined) return; // it has had its last word
    const { code } = error as NodeJS.ErrnoException;
    if (from.isAnswering || !code?.startsWith('HPE_')) stream.destroy(error);
    else from.endWith(encodeAnswer(MALFORMED[code] ?? BAD_REQUEST));
  }

  /** Undefined where nothing can be said any more. */
  #of(stream: Duplex): HttpConnection | undefined {
    return stream.writable ? this.#connections.get(stream as ConnectionDuplex) : undefined;
  }
}

const BAD_REQUEST = textAnswer(400, 'this is not HTTP/1.1');

const MALFORMED: Readonly<Record<string, OwnAnswer>> = {
  HPE_HEADER_OVERFLOW: textAnswer(431, `the head of a request may have ${MAX_HEAD_BYTES / 1024} KiB`),
  HPE_CHUNK_EXTENSIONS_OVERFLOW: textAnswer(413, 'the extensions of a chunk are too long'),
};

const ESTABLISHED = Buffer.from('HTTP/1.1 200 Connection established\r\n\r\n');

const encodeReply: ConnectRequest['encodeReply'] = reply =>
  reply === 'succeeded' ? ESTABLISHED : encodeAnswer(refusedConnect(reply));
