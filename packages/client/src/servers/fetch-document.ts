import { type ClientRequest, type IncomingMessage, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { onUnaskedUpgrade } from '../unasked-upgrade.ts';
import { Deadline } from './deadline.ts';
import { formatDocumentUrl, isOfThisMachine, parseDocumentUrl } from './document-url.ts';
import { connectThrough } from './upstream/connect-through.ts';
import type { Upstream } from './upstream/upstream.ts';

export interface FetchOptions {
  /** What came the last time, if it is enough to know that it is still so. */
  readonly etag: string | undefined;
  /** The proxy by which the web is reached, too. */
  readonly upstream: Upstream | undefined;
  readonly signal: AbortSignal;
}

/** What a URL gives; undefined where it is what it was. */
export type Fetched = { readonly text: string; readonly etag: string | undefined } | undefined;

const TIMEOUT_MS = 15_000;
const HTTPS_PORT = 443;
const MOST_REDIRECTS = 3;
const MOST_BYTES = 1024 * 1024;

/**
 * Gets a document by https, or by http from this machine.
 *
 * @throws PodsocksError ERR_DIAL, ERR_TIMEOUT or ERR_HEADER. Of the URL the message has the host only.
 */
export async function fetchDocument(given: URL, options: FetchOptions): Promise<Fetched> {
  const deadline = new Deadline(TIMEOUT_MS, options.signal);
  const { signal } = deadline;
  let url = given;
  try {
    for (let redirects = 0; ; redirects++) {
      const response = await ask(url, { ...options, signal });
      const { statusCode = 0, headers } = response;
      if (statusCode === 304) {
        response.destroy();
        return undefined;
      }
      if (statusCode === 200) return { text: await readText(response, url), etag: headers.etag };
      response.destroy();
      if (![301, 302, 303, 307, 308].includes(statusCode) || headers.location === undefined) {
        throw refused(url, `HTTP status ${statusCode}`);
      }
      if (redirects === MOST_REDIRECTS) throw refused(url, `more than ${MOST_REDIRECTS} redirections`);
      url = redirected(url, headers.location);
    }
  } catch (error) {
    const place = formatDocumentUrl(url);
    if (deadline.isLate) throw new PodsocksError('ERR_TIMEOUT', `${place}: no answer within ${TIMEOUT_MS / 1000} s`);
    if (error instanceof PodsocksError) throw error;
    // The messages of Node's errors may hold what the server has sent.
    const { code = 'unknown' } = error as NodeJS.ErrnoException;
    const mend = /CERT|SELF_SIGNED|ISSUER/.test(code)
      ? "; a company's own authority goes into NODE_EXTRA_CA_CERTS"
      : '';
    throw new PodsocksError('ERR_DIAL', `${place}: cannot be fetched (${code})${mend}`, { cause: error });
  } finally {
    deadline.end();
  }
}

function redirected(from: URL, location: string): URL {
  if (!URL.canParse(location, from.href)) throw refused(from, 'a redirection to what is no URL');
  const url = new URL(location, from);
  // Nobody out there is to have something asked of this machine.
  const isAstray = isOfThisMachine(url) && !isOfThisMachine(from);
  const isDowngrade = from.protocol === 'https:' && url.protocol !== 'https:';
  try {
    if (!isAstray && !isDowngrade) return parseDocumentUrl(url.href);
  } catch {
    // Somewhere else without https.
  }
  throw refused(from, `a redirection to what is ${isAstray ? 'on this machine' : 'not https'}`);
}

async function ask(url: URL, { etag, upstream, signal }: FetchOptions): Promise<IncomingMessage> {
  const socket = upstream && !isOfThisMachine(url) ? await connectBy(upstream, url, signal) : undefined;
  const headers = {
    Accept: 'application/json',
    'User-Agent': 'podsocks',
    ...(etag !== undefined && { 'If-None-Match': etag }),
  };
  return new Promise((resolve, reject) => {
    // An agent, also one of its own (false), would make a connection of its own.
    const options = { headers, signal, ...(socket ? { createConnection: () => socket } : { agent: false }) };
    const request: ClientRequest = url.protocol === 'https:' ? requestHttps(url, options) : requestHttp(url, options);
    request.once('response', resolve).on('error', reject);
    onUnaskedUpgrade(request, status => reject(refused(url, `HTTP status ${status}`)));
    request.end();
  });
}

/** To what is elsewhere, and so has https. */
async function connectBy(upstream: Upstream, url: URL, signal: AbortSignal): Promise<Socket> {
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const to = { host, port: Number(url.port || HTTPS_PORT) };
  const socket = await connectThrough(upstream, to, { timeout: TIMEOUT_MS, noDelay: true, ipv6First: false, signal });
  const name = isIP(host) ? undefined : host; // RFC 6066 section 3
  // The request hears of an error, and then stops listening; another may follow.
  return connectTls({ socket, host, servername: name, ALPNProtocols: ['http/1.1'] }).on('error', () => {});
}

async function readText(response: IncomingMessage, url: URL): Promise<string> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of response as AsyncIterable<Buffer>) {
    length += part.length;
    if (length > MOST_BYTES) throw refused(url, `more than ${MOST_BYTES} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

function refused(url: URL, what: string): PodsocksError {
  return new PodsocksError('ERR_HEADER', `${formatDocumentUrl(url)}: ${what}, where a list of servers was expected`);
}
