import { get, type IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { ClientStreams } from '@podsocks/shared/crypto/stream';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import type { Target } from '@podsocks/shared/wire/address';
import { INFORMATION_HOST } from '@podsocks/shared/wire/information';
import { openTunnelStream } from '../tunnel-stream.ts';
import { onUnaskedUpgrade } from '../unasked-upgrade.ts';
import type { ExaminedServer } from './examined-server.ts';

/** Milliseconds for each question. */
export const ASK_TIMEOUT_MS = 5_000;

const MAX_BODY_BYTES = 64 * 1024;

export interface OpenOptions {
  readonly wantsStatus?: boolean;
  /** Default: those of the link. */
  readonly streams?: ClientStreams;
  readonly timeout?: number;
}

/** A stream through one server, which is not chosen by anybody. @throws PodsocksError. */
export async function openThrough(link: ExaminedServer, target: Target, options: OpenOptions = {}): Promise<Duplex> {
  const { wantsStatus = false, streams = link.streams, timeout = ASK_TIMEOUT_MS } = options;
  const connection = await link.dial(timeout);
  return openTunnelStream({ link: { streams, keys: link.keys }, connection }, target, { wantsStatus, timeout });
}

/** The answer of the information host: its status, and its body as JSON. */
export interface Answer {
  readonly status: number;
  readonly body: unknown;
}

/**
 * Asks the information host.
 *
 * @throws PodsocksError ERR_CLOSED when it ends without a word, ERR_TIMEOUT when it is silent, ERR_HEADER when it makes no sense.
 */
export async function askInformation(link: ExaminedServer, path: string, options: OpenOptions = {}): Promise<Answer> {
  const answer = await request(link, path, options);
  const { response } = answer;
  let text = '';
  response.setEncoding('utf8');
  for await (const part of partsOf(answer)) {
    text += part;
    if (text.length > MAX_BODY_BYTES) throw senseless();
  }
  try {
    return { status: response.statusCode ?? 0, body: JSON.parse(text) };
  } catch {
    throw senseless();
  }
}

/**
 * Milliseconds until `bytes` had come that the information host was asked for; `busy` where it measures for this user already,
 * undefined of a server that does not measure.
 *
 * @throws PodsocksError as above.
 */
export async function timeDownload(link: ExaminedServer, bytes: number): Promise<number | 'busy' | undefined> {
  const answer = await request(link, `/v1/throughput?bytes=${bytes}`, { timeout: ASK_TIMEOUT_MS * 4 });
  const { response } = answer;
  if (response.statusCode !== 200) {
    response.destroy();
    return response.statusCode === BUSY ? 'busy' : undefined; // an older server
  }
  const begun = performance.now();
  let length = 0;
  for await (const part of partsOf(answer)) length += (part as Buffer).length;
  return length === bytes ? performance.now() - begun : undefined;
}

const BUSY = 429;

/** An answer that has begun. */
interface Begun {
  readonly response: IncomingMessage;
  /** Aborted when its time is over. */
  readonly signal: AbortSignal;
}

async function request(link: ExaminedServer, path: string, options: OpenOptions): Promise<Begun> {
  const { timeout = ASK_TIMEOUT_MS } = options;
  const stream = await openThrough(link, INFORMATION_HOST, options);
  const signal = AbortSignal.timeout(timeout);
  const { host, port: defaultPort } = INFORMATION_HOST;
  return new Promise((resolve, reject) => {
    const begun = (response: IncomingMessage) => resolve({ response, signal });
    const asked = get({ host, defaultPort, path, createConnection: () => stream, signal }, begun);
    onUnaskedUpgrade(asked, () => reject(senseless()));
    asked.on('error', error => {
      stream.destroy();
      if (signal.aborted) reject(new PodsocksError('ERR_TIMEOUT', `no answer within ${timeout / 1000} s`));
      else if (error instanceof PodsocksError) reject(error);
      else reject(new PodsocksError('ERR_CLOSED', 'it ended the connection without an answer', { cause: error }));
    });
  });
}

/** @throws PodsocksError ERR_HEADER where the answer does not come to its end. */
async function* partsOf({ response, signal }: Begun): AsyncGenerator<unknown> {
  try {
    yield* response;
  } catch (error) {
    if (error instanceof PodsocksError) throw error;
    const how = signal.aborted ? 'does not come to its end' : 'was cut off';
    throw new PodsocksError('ERR_HEADER', `the answer has begun, and ${how}`, { cause: error });
  }
}

function senseless(): PodsocksError {
  return new PodsocksError('ERR_HEADER', 'it answers what podsocks would not');
}
