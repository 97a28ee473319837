import {
  type ClientRequest,
  type IncomingMessage,
  type OutgoingMessage,
  request,
  type ServerResponse,
} from 'node:http';
import type { Duplex } from 'node:stream';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import type { Destination } from './absolute-form.ts';
import { badAnswer, failedStream } from './failure.ts';
import { endToEnd, isChunked, PSEUDONYM, trailerPairs, valuesOf } from './header-fields.ts';
import type { HttpConnection } from './http-connection.ts';
import { answerWith, type OwnAnswer, textAnswer } from './own-answer.ts';
import { encodeHead, reasonOf } from './response-head.ts';

/** For either head. Browsers send cookies of some 10 KiB, and servers allow 8 to 32 KiB. */
export const MAX_HEAD_BYTES = 64 * 1024;

/** Interim answers (1xx) before the final one. */
const MOST_INTERIM = 64;

export interface Exchange {
  readonly connection: HttpConnection;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly destination: Destination;
  /** Of a request that wants to go on as WebSocket: what the client has sent behind its head. */
  readonly upgrade: Uint8Array | undefined;
}

/**
 * Passes a request on and its answer back, as RFC 9110 section 7.6 has proxies do, bodies as they come. It is sent once: whether it
 * may be repeated is for the client to know.
 */
export function forward(exchange: Exchange): void {
  try {
    new Forwarding(exchange, send(exchange));
  } catch {
    const { request, response } = exchange;
    answerWith(request, response, textAnswer(400, 'a field of the request cannot be passed on'));
  }
}

/** @throws TypeError for what Node does not send. */
function send({ connection, request: incoming, destination, upgrade }: Exchange): ClientRequest {
  const { target, path } = destination;
  const outgoing = request({
    agent: connection.agent,
    method: incoming.method!,
    host: target.host,
    port: target.port,
    path,
    headers: requestFields(incoming, destination, upgrade !== undefined),
    setHost: false,
    maxHeaderSize: MAX_HEAD_BYTES,
    insecureHTTPParser: false,
  });
  outgoing.maxHeadersCount = 0; // all of them: those above a limit would be left out
  return outgoing;
}

function requestFields(incoming: IncomingMessage, { authority }: Destination, isUpgrade: boolean): string[] {
  const { rawHeaders, headers, httpVersion, method } = incoming;
  const [hops] = method === 'OPTIONS' ? valuesOf(rawHeaders, 'max-forwards') : [];
  const others = ['host', ...(httpVersion === '1.0' ? ['expect'] : []), ...(hops ? ['max-forwards'] : [])];
  const fields = ['Host', authority, ...endToEnd(rawHeaders, others), 'Via', `${httpVersion} ${PSEUDONYM}`];
  if (hops) fields.push('Max-Forwards', String(Number(hops) - 1));
  if (isUpgrade) return [...fields, 'Connection', 'Upgrade', 'Upgrade', 'websocket'];
  if (isChunked(incoming)) return [...fields, ...trailerField(incoming), 'Transfer-Encoding', 'chunked'];
  // Behind all others: Node takes a Content-Disposition behind it for UTF-8, and not all are.
  if (headers['content-length'] !== undefined) return [...fields, 'Content-Length', headers['content-length']];
  return method === 'GET' || method === 'HEAD' ? fields : [...fields, 'Content-Length', '0'];
}

/** One exchange, once it has been sent. */
class Forwarding {
  readonly #exchange: Exchange;
  readonly #outgoing: ClientRequest;
  #interim = 0;
  #received: IncomingMessage | undefined;
  /** The client has its answer, or will have none, or has it from us. */
  #isOver = false;

  constructor(exchange: Exchange, outgoing: ClientRequest) {
    this.#exchange = exchange;
    this.#outgoing = outgoing;
    outgoing
      .on('error', error => this.#guard(() => this.#fail(error)))
      .on('close', () => this.#guard(() => this.#onClose()))
      .on('information', interim => this.#guard(() => this.#passInterim(interim)))
      .on('upgrade', (answer, stream, head) => this.#guard(() => this.#switch(answer, stream, head), stream))
      .on('response', answer => this.#guard(() => this.#answer(answer)));
    const { request, response, upgrade } = exchange;
    response.once('close', () => this.#guard(() => this.#end()));
    if (upgrade !== undefined || (!isChunked(request) && request.headers['content-length'] === undefined)) {
      outgoing.end();
    } else {
      outgoing.flushHeaders(); // the client may send nothing of the body before it has heard something
      this.#passBody(request, outgoing);
    }
  }

  /**
   * What is thrown while this exchange goes on, whatever the target has said, is the end of its connection and of no other.
   *
   * @param stream one that the request has let go of.
   */
  #guard(task: () => void, stream?: Duplex): void {
    try {
      task();
    } catch (error) {
      this.#isOver = true;
      this.#outgoing.destroy();
      stream?.destroy();
      this.#exchange.connection.fail(error as Error);
    }
  }

  #onClose(): void {
    const { response } = this.#exchange;
    if (!response.headersSent) this.#fail(new PodsocksError('ERR_CLOSED', 'the target sent no answer'));
  }

  #passInterim({ statusCode, statusMessage, rawHeaders }: Interim): void {
    const { connection, request, response } = this.#exchange;
    if (this.#isOver || response.headersSent || request.httpVersion === '1.0') return;
    if (++this.#interim > MOST_INTERIM) this.#refuse(badAnswer('there are too many interim answers'));
    else if (statusCode === 100) response.writeContinue();
    else connection.stream.write(encodeHead(statusCode, statusMessage, endToEnd(rawHeaders)));
  }

  #answer(answer: IncomingMessage): void {
    const { connection, request, response } = this.#exchange;
    const { statusCode = 0, statusMessage, headers, rawHeaders, httpVersion } = answer;
    this.#received = answer;
    answer.on('error', error => this.#guard(() => this.#fail(error)));
    const wrong = wrongIn(answer);
    if (wrong !== undefined) {
      this.#refuse(badAnswer(wrong));
      return;
    }
    const hasBody = request.method !== 'HEAD' && statusCode !== 204 && statusCode !== 304;
    const fields = [...endToEnd(rawHeaders), 'Via', `${httpVersion} ${PSEUDONYM}`];
    // Whether there will be one is known of a body in chunks only.
    if (hasBody && isChunked(answer) && request.httpVersion !== '1.0') fields.push(...trailerField(answer));
    if (headers['content-length'] !== undefined && statusCode !== 204) {
      fields.push('Content-Length', headers['content-length']);
    }
    // What is left of the request is not read to its end, however long that takes.
    if (!request.complete) fields.push('Connection', 'close');
    response.sendDate = false;
    response.writeHead(statusCode, reasonOf(statusCode, statusMessage), fields);
    // At once, as the body may be long in coming; but in one packet with it if it is there.
    connection.stream.cork();
    response.flushHeaders();
    this.#passBody(answer, response);
    process.nextTick(() => connection.stream.uncork());
  }

  /** The target goes on in another protocol: from here on it is bytes. */
  #switch(answer: IncomingMessage, stream: Duplex, head: Uint8Array): void {
    const { connection, response, upgrade } = this.#exchange;
    // Not all versions of Node keep one to themselves that comes in the same packet as a whole answer: that one counts.
    if (this.#isOver || upgrade === undefined || response.headersSent) {
      stream.destroy();
      this.#refuse(badAnswer('the target changes the protocol unasked'));
      return;
    }
    this.#isOver = true;
    const client = connection.stream;
    response.detachSocket(client as never);
    const fields = endToEnd(answer.rawHeaders);
    const [protocol = 'websocket'] = valuesOf(answer.rawHeaders, 'upgrade');
    client.write(encodeHead(101, answer.statusMessage, [...fields, 'Connection', 'Upgrade', 'Upgrade', protocol]));
    if (upgrade.length > 0) client.unshift(upgrade);
    if (head.length > 0) stream.unshift(head);
    connection.splice(stream);
  }

  /** Moves a body, and what comes behind it. */
  #passBody(from: IncomingMessage, to: OutgoingMessage): void {
    from.pipe(to, { end: false });
    from.once('end', () =>
      this.#guard(() => {
        const trailers = trailerPairs(from.rawTrailers);
        if (trailers.length > 0) to.addTrailers(trailers); // left out by Node where there are no chunks
        to.end();
      }),
    );
  }

  #fail(error: Error): void {
    const { connection, response } = this.#exchange;
    // What comes behind a whole answer is none: the body, say, that some servers send to HEAD.
    if (this.#isOver || this.#received?.complete) return;
    // A part must not be taken for the whole.
    if (response.headersSent) connection.stream.destroy(error);
    // It was ended while the request was under way. The client, whose connection is a used one as well, sees what it would have
    // seen without a proxy, and knows whether it may ask again.
    else if (this.#outgoing.reusedSocket && !isMalformed(error)) connection.stream.destroy();
    else this.#refuse(failedStream(error));
  }

  #refuse(answer: OwnAnswer): void {
    const { request, response } = this.#exchange;
    if (this.#isOver || response.headersSent) return;
    this.#isOver = true;
    request.unpipe(this.#outgoing);
    answerWith(request, response, answer);
    this.#outgoing.destroy();
  }

  #end(): void {
    const { request, response } = this.#exchange;
    const isWhole = request.complete && response.writableFinished;
    this.#isOver = true;
    if (isWhole) return;
    request.unpipe(this.#outgoing);
    request.resume();
    this.#outgoing.destroy(new PodsocksError('ERR_CLOSED', 'the client has gone'));
  }
}

/** What no proxy may pass on. */
function wrongIn(answer: IncomingMessage): string | undefined {
  const { statusCode = 0, headers } = answer;
  if (statusCode < 200) return `the target answers with ${statusCode}, which was not asked for`;
  if (headers['transfer-encoding'] === undefined || isChunked(answer)) return undefined;
  return 'the answer has a transfer coding that was not asked for';
}

type Interim = Pick<IncomingMessage, 'rawHeaders'> & { readonly statusCode: number; readonly statusMessage: string };

function trailerField({ rawHeaders }: IncomingMessage): string[] {
  return valuesOf(rawHeaders, 'trailer').flatMap(value => ['Trailer', value]);
}

function isMalformed(error: Error): boolean {
  return (error as NodeJS.ErrnoException).code?.startsWith('HPE_') ?? false;
}
