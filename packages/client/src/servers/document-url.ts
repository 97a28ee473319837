import { PodsocksError } from '@podsocks/shared/runtime/errors';

/** Where a list of servers is. */
export type DocumentSource =
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'url'; readonly url: URL };

/** The URL of a list of servers. Whoever has it has the servers' passwords, so no error and no log holds more than its host. */
export function parseDocumentUrl(text: string): URL {
  if (!URL.canParse(text)) throw wrong('is not a URL; give https://…');
  const url = new URL(text);
  if (url.protocol === 'https:' || (url.protocol === 'http:' && isOfThisMachine(url))) return url;
  if (url.protocol === 'ssconf:') throw wrong('has the scheme ssconf; give the same with https://');
  throw wrong('has to begin with https://: the passwords of the servers are in what it gives');
}

/** `https://example.com/…` */
export function formatDocumentUrl({ origin }: URL): string {
  return `${origin}/…`;
}

/** Whether it is here, and not where a proxy would look for it. */
export function isOfThisMachine({ hostname }: URL): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(hostname);
}

function wrong(message: string): PodsocksError {
  return new PodsocksError('ERR_CONFIG', message);
}
