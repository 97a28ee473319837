import { PodsocksError } from '@podsocks/shared/runtime/errors';
import type { Target } from '@podsocks/shared/wire/address';
import { parseAuthority } from './authority.ts';

/** Where a request to a proxy is to go. */
export interface Destination {
  readonly target: Target;
  /** As it was written, for the Host field. */
  readonly authority: string;
  /** Path and query, or `*`. */
  readonly path: string;
}

const SCHEME = /^([a-z][a-z0-9+.-]*):/i;
const HTTP_URL = /^http:\/\/([^/?#]*)(\/[^#]*|\?[^#]*)?$/i;
const HTTP_PORT = 80;

/** The scheme of a request target in absolute-form, in lower case; undefined for the other forms (RFC 9112 section 3.2). */
export function schemeOf(requestTarget: string): string | undefined {
  return SCHEME.exec(requestTarget)?.[1]?.toLowerCase();
}

/**
 * Takes an `http` URL apart. Path and query stay as they are, byte for byte.
 *
 * @throws PodsocksError ERR_ADDRESS
 */
export function parseAbsoluteForm(method: string, requestTarget: string): Destination {
  const [, written, rest = ''] = HTTP_URL.exec(requestTarget) ?? [];
  if (written === undefined) throw new PodsocksError('ERR_ADDRESS', 'the request is for no http:// URL');
  const target = parseAuthority(written, HTTP_PORT);
  // Only OPTIONS may be for a whole server (RFC 9112 section 3.2.4).
  const path = rest === '' && method === 'OPTIONS' ? '*' : rest.startsWith('/') ? rest : `/${rest}`;
  return { target, authority: written.replace(/:$/, ''), path };
}
