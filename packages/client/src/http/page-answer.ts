import type { IncomingMessage } from 'node:http';
import type { Endpoint } from '@podsocks/shared/net/listener';
import { formatTarget, type Target } from '@podsocks/shared/wire/address';
import { parseAuthority } from './authority.ts';
import { BASIC_CHALLENGE } from './basic-credentials.ts';
import { valuesOf } from './header-fields.ts';
import type { Page } from './local-pages.ts';
import { type OwnAnswer, ownAnswer, textAnswer } from './own-answer.ts';

/** Who asks for a page, and where. */
export interface PageRequest {
  readonly request: IncomingMessage;
  /** `host:port` of a request in absolute-form, which counts for more than its Host field. */
  readonly authority: string | undefined;
  /** Path and query. */
  readonly path: string;
  /** The address that the client has connected to. */
  readonly local: Endpoint;
  readonly isLocal: boolean;
  /** Whether a password was given, where one is asked for. */
  readonly isAuthenticated: boolean;
}

/** Where a page is shown. */
export interface PageSite {
  readonly pages: ReadonlyMap<string, Page>;
  /** What this machine calls itself. */
  readonly machineName: string;
}

/** The answer to a request for a page of ss-local itself. */
export function pageAnswer(asked: PageRequest, { pages, machineName }: PageSite): OwnAnswer {
  const { request, path, isLocal, isAuthenticated } = asked;
  const authority = authorityOf(asked, machineName);
  // A page from elsewhere may have a name that means this machine (DNS rebinding): it would read what is not for it.
  if (authority === undefined) return textAnswer(421, NOT_HERE);
  const page = pages.get(path.replace(/\?.*$/s, ''));
  if (page === undefined) return textAnswer(404, `there is no such page; try ${[...pages.keys()].join(', ')}`);
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    return textAnswer(405, 'this page takes GET and HEAD only', { Allow: 'GET, HEAD' });
  }
  if (!page.public && !isLocal) return textAnswer(403, 'this page is for programs on the machine of ss-local only');
  if (!page.public && !isAuthenticated) {
    return textAnswer(401, 'this page asks for the user name and password of the proxy', {
      'WWW-Authenticate': BASIC_CHALLENGE,
    });
  }
  const { contentType, body } = page.content({ authority });
  return ownAnswer(200, contentType, body);
}

/** Whether a target is the port that a connection has come to. */
export function isOwnPort({ host, port }: Target, local: Endpoint): boolean {
  return port === local.port && (LOOPBACK.has(host.toLowerCase()) || host === local.host);
}

const LOOPBACK: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '::1']);

const NOT_HERE =
  'this is the proxy of ss-local, which shows its own pages by its IP address or as localhost only; ' +
  'to go elsewhere through it, set it as the HTTP proxy of the program';

/** `host:port` as the client has it; undefined where that may be a name of somebody else. */
function authorityOf({ request, authority, local }: PageRequest, machineName: string): string | undefined {
  const given = authority ?? valuesOf(request.rawHeaders, 'host')[0];
  if (given === undefined || given === '') return formatTarget(local);
  try {
    const target = parseAuthority(given, local.port);
    return target.type !== 'name' || isOwnName(target.host, machineName) ? formatTarget(target) : undefined;
  } catch {
    return undefined;
  }
}

/** With and without a domain: what it is called by mDNS, and by the router at home. */
function isOwnName(host: string, machineName: string): boolean {
  const name = host.toLowerCase().replace(/\.$/, '');
  const own = machineName.toLowerCase();
  const [short] = own.split('.');
  return [own, short, `${short}.local`, 'localhost'].includes(name);
}
