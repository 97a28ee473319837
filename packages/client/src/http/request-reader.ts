import type { IncomingMessage } from 'node:http';
import type { Connection } from '@podsocks/shared/net/connection';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import type { Logger } from '@podsocks/shared/runtime/log';
import { formatTarget, type Target } from '@podsocks/shared/wire/address';
import type { SocksUser } from '../socks-users.ts';
import { type Destination, parseAbsoluteForm, schemeOf } from './absolute-form.ts';
import { parseAuthority } from './authority.ts';
import { BASIC_CHALLENGE, userIn } from './basic-credentials.ts';
import { loop } from './failure.ts';
import { isChunked, PSEUDONYM, valuesOf } from './header-fields.ts';
import type { HttpConnection } from './http-connection.ts';
import { type OwnAnswer, textAnswer } from './own-answer.ts';
import { isOwnPort, type PageSite, pageAnswer } from './page-answer.ts';

export interface RequestReaderOptions extends PageSite {
  readonly users: readonly SocksUser[];
  readonly isLocal: (connection: Connection) => boolean;
  readonly admit: (connection: Connection) => void;
  readonly log: Logger;
}

/** So often a request may have come through a proxy like this: ours, and that of somebody whose network this is. */
const MOST_HOPS = 3;

const ALLOW = { Allow: 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, CONNECT' };

/** Finds out what a request is for, and whether it may. Admits those connections whose client may ask. */
export class RequestReader {
  readonly #options: RequestReaderOptions;

  constructor(options: RequestReaderOptions) {
    this.#options = options;
  }

  /** The target of a CONNECT (RFC 9112 section 3.2.3), or the answer if it has none. */
  readConnect(from: HttpConnection, { url = '', headers }: IncomingMessage): Target | OwnAnswer {
    const refused = this.#authenticate(from, headers['proxy-authorization']);
    if (refused !== undefined) return refused;
    return orRefused(() => parseAuthority(url), 'CONNECT: ');
  }

  /** Where any other request is to go, or its answer if that is here. */
  read(from: HttpConnection, request: IncomingMessage): Destination | OwnAnswer {
    const { url = '', rawHeaders, headers } = request;
    if (request.httpVersionMajor !== 1) return textAnswer(505, 'this port speaks HTTP/1.1');
    if (valuesOf(rawHeaders, 'host').length > 1) return textAnswer(400, 'there is more than one Host field');
    if (headers['transfer-encoding'] !== undefined && !isChunked(request)) {
      return textAnswer(501, 'of all transfer codings this port has "chunked" only');
    }
    if (url.startsWith('/')) return this.#page(from, request, url);
    return this.#authenticate(from, headers['proxy-authorization']) ?? this.#readAbsolute(from, request, url);
  }

  #readAbsolute(from: HttpConnection, request: IncomingMessage, url: string): Destination | OwnAnswer {
    const { method = '', rawHeaders } = request;
    const scheme = schemeOf(url);
    if (scheme === undefined) return textAnswer(400, 'the request is for no URL and no path');
    if (scheme !== 'http') return textAnswer(501, `${scheme}: goes through this proxy by CONNECT`);
    const destination = orRefused(() => parseAbsoluteForm(method, url));
    if ('status' in destination) return destination;
    const { target, authority, path } = destination;
    if (isOwnPort(target, from.local)) return this.#page(from, request, path, authority);
    const hops = valuesOf(rawHeaders, 'via').flatMap(value => value.split(','));
    if (hops.filter(hop => hop.trim().endsWith(` ${PSEUDONYM}`)).length >= MOST_HOPS) return loop();
    // It would show the client's secrets to whoever can make it ask (RFC 9110 section 9.3.8).
    if (method === 'TRACE') return textAnswer(405, 'TRACE is not passed on', ALLOW);
    return (method === 'OPTIONS' ? lastHop(request, target) : undefined) ?? destination;
  }

  #page(from: HttpConnection, request: IncomingMessage, path: string, authority?: string): OwnAnswer {
    const { users, isLocal, admit } = this.#options;
    const { authorization, 'proxy-authorization': proxyAuthorization } = request.headers;
    const isAuthenticated = users.length === 0 || userIn(users, authorization ?? proxyAuthorization) !== undefined;
    if (isAuthenticated) admit(from.connection);
    const asked = { request, authority, path, local: from.local, isLocal: isLocal(from.connection), isAuthenticated };
    return pageAnswer(asked, this.#options);
  }

  /** @returns the answer to somebody who has not said who they are, where that is asked for. */
  #authenticate(from: HttpConnection, field: string | undefined): OwnAnswer | undefined {
    const { users, admit, log } = this.#options;
    from.username = userIn(users, field);
    if (users.length === 0 || from.username !== undefined) {
      admit(from.connection);
      return undefined;
    }
    // Browsers ask without first. Not even the username is named: people paste the password into the wrong field.
    if (field !== undefined) {
      log.info({ client: from.client }, "wrong username or password: check both against this port's users");
    }
    return textAnswer(407, 'this proxy asks for a user name and password', { 'Proxy-Authenticate': BASIC_CHALLENGE });
  }
}

/** The answer to OPTIONS that must go no further (RFC 9110 section 7.6.2). */
function lastHop({ rawHeaders }: IncomingMessage, target: Target): OwnAnswer | undefined {
  const [left] = valuesOf(rawHeaders, 'max-forwards');
  if (left === undefined) return undefined;
  if (!/^\d{1,9}$/.test(left)) return textAnswer(400, 'Max-Forwards is not a number');
  return Number(left) === 0 ? textAnswer(200, `on the way to ${formatTarget(target)}`, ALLOW) : undefined;
}

function orRefused<T>(parse: () => T, before = ''): T | OwnAnswer {
  try {
    return parse();
  } catch (error) {
    if (error instanceof PodsocksError) return textAnswer(400, before + error.message);
    throw error;
  }
}
