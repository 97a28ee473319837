import { get, type IncomingMessage } from 'node:http';
import type { ClientKeys } from '@podsocks/shared/crypto/key-derivation';
import type { ClientStreams } from '@podsocks/shared/crypto/stream';
import type { Connection } from '@podsocks/shared/net/connection';
import { StreamDuplex } from '@podsocks/shared/net/stream-duplex';
import { INFORMATION_HOST } from '@podsocks/shared/wire/information';
import { Deadline } from './servers/deadline.ts';
import { type KnownServer, noInformation, readInformation } from './servers/known-server.ts';
import { onUnaskedUpgrade } from './unasked-upgrade.ts';

export type { KnownServer } from './servers/known-server.ts';

/** What a server has shown to be, and the milliseconds between the request and the answer. */
export type ProbeOutcome =
  | { readonly kind: 'podsocks'; readonly server: KnownServer; readonly roundTrip: number }
  /** It has ended the connection without a byte, as a server does that does not know the name. */
  | { readonly kind: 'plain'; readonly roundTrip: number }
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
  const deadline = new Deadline(timeout, options.signal);
  const { signal } = deadline;
  let connection: Connection | undefined;
  let askedAt = 0;
  let bytesBefore = 0; // which a proxy on the way has said
  try {
    connection = await options.dialServer(timeout);
    signal.throwIfAborted();
    bytesBefore = connection.socket.bytesRead;
    askedAt = performance.now();
    const sealer = streams.sealRequest(keys, INFORMATION_HOST);
    const opener = streams.openResponse(keys, sealer.salt);
    const stream = new StreamDuplex({ connection, opener, sealer, first: undefined });
    try {
      const information = await fetchInformation(stream, signal);
      const roundTrip = performance.now() - askedAt;
      return { kind: 'podsocks', server: readInformation(information, Date.now() - roundTrip / 2), roundTrip };
    } finally {
      stream.destroy();
    }
  } catch (error) {
    if (signal.aborted) return { kind: 'unknown', reason: `no answer within ${timeout / 1000} s` };
    const isSilent = connection?.socket.bytesRead === bytesBefore;
    if (isSilent) return { kind: 'plain', roundTrip: performance.now() - askedAt };
    return { kind: 'unknown', reason: (error as Error).message };
  } finally {
    deadline.end();
    connection?.close();
  }
}

function fetchInformation(stream: StreamDuplex, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const { host, port: defaultPort } = INFORMATION_HOST;
    const bounds = { signal, maxHeaderSize: MAX_HEADER_BYTES };
    const asked = get({ host, defaultPort, path: '/v1/info', createConnection: () => stream, ...bounds }, response =>
      readBody(response).then(resolve, reject),
    );
    asked.on('error', reject);
    onUnaskedUpgrade(asked, status => reject(noInformation(`HTTP status ${status}`)));
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
