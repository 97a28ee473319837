import { PodsocksError } from '@podsocks/shared/runtime/errors';

/** The URL of a list of servers. Whoever has it has the servers' passwords, so no error and no log holds more than its host. */
export function parseDocumentUrl(text: string): URL {
  if (!URL.canParse(text)) throw wrong('is not a URL; give https://…');
  const url = new URL(text);
  if (url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname))) return url;
  if (url.protocol === 'ssconf:') throw wrong('has the scheme ssconf; give the same with https://');
  throw wrong('has to begin with https://: the passwords of the servers are in what it gives');
}

/** `https://example.com/…` */
export function formatDocumentUrl({ origin }: URL): string {
  return `${origin}/…`;
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(host);
}

function wrong(message: string): PodsocksError {
  return new PodsocksError('ERR_CONFIG', message);
}
