import { get, type IncomingMessage } from 'node:http';
import type { ClientKeys } from '@podsocks/shared/crypto/key-derivation';
import type { ClientStreams } from '@podsocks/shared/crypto/stream';
import type { Connection } from '@podsocks/shared/net/connection';
import { StreamDuplex } from '@podsocks/shared/net/stream-duplex';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { INFORMATION_HOST } from '@podsocks/shared/wire/information';

/** What ss-local wants to know of a podsocks server. */
export interface KnownServer {
  readonly version: string;
  /** The domain of its cluster, where it is in one. */
  readonly domain: string | undefined;
  /** Whether it tells what became of a connect. */
  readonly hasConnectStatus: boolean;
}

/** What a server has shown to be. */
export type ProbeOutcome =
  | { readonly kind: 'podsocks'; readonly server: KnownServer }
  /** It has ended the connection without a byte, as a server does that does not know the name. */
  | { readonly kind: 'plain' }
  /** It cannot be reached, is silent, or has answered something else. */
  | { readonly kind: 'unknown'; readonly reason: string };

export interface ProbeOptions {
  readonly streams: ClientStreams;
  readonly keys: ClientKeys;
  /** Connects to the server. */
  readonly dialServer: (timeout: number) => Promise<Connection>;
  /** Milliseconds for all of it. */
  readonly timeout: number;
  /** Ends it at once. */
  readonly signal: AbortSignal;
}

/** What comes from whoever answers is not trusted. */
const MAX_HEADER_BYTES = 16 * 1024;
const MAX_BODY_BYTES = 64 * 1024;

/** Asks a server what it is, at its information host. Never rejects. */
export async function probeServer(options: ProbeOptions): Promise<ProbeOutcome> {
  const { streams, keys, timeout } = options;
  const signal = AbortSignal.any([options.signal, AbortSignal.timeout(timeout)]);
  let connection: Connection | undefined;
  try {
    connection = await options.dialServer(timeout);
    signal.throwIfAborted();
    const sealer = streams.sealRequest(keys, INFORMATION_HOST);
    const opener = streams.openResponse(keys, sealer.salt);
    const stream = new StreamDuplex({ connection, opener, sealer, first: undefined });
    try {
      return { kind: 'podsocks', server: readInformation(await fetchInformation(stream, signal)) };
    } finally {
      stream.destroy();
    }
  } catch (error) {
    if (signal.aborted) return { kind: 'unknown', reason: `no answer within ${timeout / 1000} s` };
    const isSilent = connection?.socket.bytesRead === 0;
    return isSilent ? { kind: 'plain' } : { kind: 'unknown', reason: (error as Error).message };
  } finally {
    connection?.close();
  }
}

function fetchInformation(stream: StreamDuplex, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const { host, port: defaultPort } = INFORMATION_HOST;
    const bounds = { signal, maxHeaderSize: MAX_HEADER_BYTES };
    get({ host, defaultPort, path: '/v1/info', createConnection: () => stream, ...bounds }, response =>
      readBody(response).then(resolve, reject),
    ).on('error', reject);
  });
}

async function readBody(response: IncomingMessage): Promise<string> {
  if (response.statusCode !== 200) throw noInformation(`HTTP status ${response.statusCode}`);
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of response as AsyncIterable<Buffer>) {
    length += part.length;
    if (length > MAX_BODY_BYTES) throw noInformation(`more than ${MAX_BODY_BYTES} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString();
}

/** @throws PodsocksError ERR_HEADER for what podsocks would not say. */
function readInformation(body: string): KnownServer {
  let information: unknown;
  try {
    information = JSON.parse(body);
  } catch {
    throw noInformation('no JSON');
  }
  const { podsocks, features, cluster } = asObject(information);
  const { version } = asObject(podsocks);
  const { domain } = asObject(cluster);
  // Both are printed.
  if (typeof version !== 'string' || !/^[\w.+-]{1,64}$/.test(version)) throw noInformation('no version of podsocks');
  if (!Array.isArray(features)) throw noInformation('no list of features');
  return {
    version,
    domain: typeof domain === 'string' && /^[\w.-]{1,253}$/.test(domain) ? domain : undefined,
    hasConnectStatus: features.includes('connect-status'),
  };
}

function asObject(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

function noInformation(what: string): PodsocksError {
  return new PodsocksError('ERR_HEADER', `${INFORMATION_HOST.host} answers what podsocks would not: ${what}`);
}
