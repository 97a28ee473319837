import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { type Fields, number, text } from '@podsocks/shared/settings/fields';
import { type Layer, type Settings, single } from '@podsocks/shared/settings/settings';
import { asText } from '@podsocks/shared/settings/values';
import { type DocumentSource, parseDocumentUrl } from './document-url.ts';
import { parseUpstream, type Upstream } from './upstream/upstream.ts';

/** How servers are found and reached, beside what each of them is. */
export interface PoolSettings {
  /** Where there is a list of servers that may change. */
  readonly document?: DocumentSource;
  /** The proxy by which servers are reached. */
  readonly upstream?: Upstream;
  /** How many connections to the server in use wait for requests. */
  readonly preconnect: number;
}

const MOST_PRECONNECTED = 32;

export const POOL_SETTINGS = {
  serversUrl: single(
    { flags: '--servers-url <url>', env: 'SS_SERVERS_URL' },
    'https:// URL of a list of servers (SIP008), fetched at the start and every hour',
    parseDocumentUrl,
  ),
  serversFile: single(
    { flags: '--servers-file <file>', env: 'SS_SERVERS_FILE' },
    'file with a list of servers (SIP008), read again when it changes',
    asText,
  ),
  upstream: single(
    { flags: '--upstream <url>', env: 'SS_UPSTREAM' },
    'proxy by which servers are reached: socks5://[user:password@]host:port or http://[user:password@]host:port',
    parseUpstream,
  ),
  preconnect: single(
    { flags: '--preconnect <number>', env: 'SS_PRECONNECT' },
    `connections to the server that wait for requests, 0 to ${MOST_PRECONNECTED} (default: 0)`,
    parsePreconnect,
  ),
} satisfies Settings;

export const poolFields = {
  servers_url: text(parseDocumentUrl),
  servers_file: text(asText),
  upstream: text(parseUpstream),
  preconnect: number(parsePreconnect),
} satisfies Fields;

type Given = Layer<typeof POOL_SETTINGS>;

/**
 * @param layers highest precedence first.
 * @throws PodsocksError ERR_CONFIG.
 */
export function poolOf(layers: readonly Given[]): PoolSettings {
  const document = documentOf(layers.find(({ serversUrl, serversFile }) => serversUrl ?? serversFile) ?? {});
  const upstream = layers.find(layer => layer.upstream)?.upstream;
  const preconnect = layers.find(layer => layer.preconnect)?.preconnect;
  return {
    ...(document && { document }),
    ...(upstream && { upstream: upstream.value }),
    preconnect: preconnect?.value ?? 0,
  };
}

function documentOf({ serversUrl, serversFile }: Given): DocumentSource | undefined {
  if (serversUrl && serversFile) {
    throw wrong(`${serversUrl.from} and ${serversFile.from} both say where the list of servers is; leave one out`);
  }
  if (serversUrl) return { kind: 'url', url: serversUrl.value };
  return serversFile && { kind: 'file', path: serversFile.value };
}

function parsePreconnect(given: string): number {
  if (/^\d{1,2}$/.test(given) && Number(given) <= MOST_PRECONNECTED) return Number(given);
  throw wrong(`is not a number of connections; give one from 0 to ${MOST_PRECONNECTED}`);
}

function wrong(message: string): PodsocksError {
  return new PodsocksError('ERR_CONFIG', message);
}
