import { PodsocksError } from '@podsocks/shared/runtime/errors';

/** Why a name has no addresses now. Labels of metrics, so they are stable. */
export type ResolveFailure =
  /** NXDOMAIN for every name of the search list, or it cannot be a name at all. */
  | 'not-found'
  /** The name exists, but not with an address, or with none of the family asked for. */
  | 'no-address'
  /** Servers answered that they cannot (SERVFAIL, REFUSED), or with nonsense, or could not be reached. */
  | 'server-failed'
  /** No server answered. */
  | 'timed-out'
  /** More is being asked than there are sockets for. */
  | 'busy'
  /** The resolver was closed. */
  | 'closed';

/** The codes are those of node:dns, of which `dial` knows what they mean; c-ares has none for being busy. */
const FAILURES: Record<ResolveFailure, { readonly code: string; readonly says: string }> = {
  'not-found': { code: 'ENOTFOUND', says: 'no such name' },
  'no-address': { code: 'ENODATA', says: 'the name has no address' },
  'server-failed': { code: 'ESERVFAIL', says: 'the DNS servers failed' },
  'timed-out': { code: 'ETIMEOUT', says: 'no DNS server answers' },
  busy: { code: 'EBUSY', says: 'too many names are being looked up' },
  closed: { code: 'ECANCELLED', says: 'the resolver was closed' },
};

/** All zero. */
export function noFailures(): Record<ResolveFailure, number> {
  return { 'not-found': 0, 'no-address': 0, 'server-failed': 0, 'timed-out': 0, busy: 0, closed: 0 };
}

/** The same, as a system's error: what net.connect passes on, and what PodsocksErrors hold as their cause. */
export interface LookupError extends NodeJS.ErrnoException {
  readonly failure: ResolveFailure;
  readonly hostname: string;
  /** What the servers said. */
  readonly detail: string;
}

/**
 * The error of a name, ERR_DIAL. Its `cause` is a {@link LookupError}.
 *
 * @param detail what the servers said, for the message.
 */
export function resolveError(name: string, failure: ResolveFailure, detail = ''): PodsocksError {
  const { code, says } = FAILURES[failure];
  // Not every text that was asked for is a name: quoted, so that it is one line and says where it ends.
  const shown = /^[\w.-]{1,253}$/.test(name) ? name : JSON.stringify(name.slice(0, 64));
  const message = `${shown}: ${says}${detail && ` (${detail})`}`;
  const cause: LookupError = Object.assign(new Error(message), {
    code,
    syscall: 'query',
    hostname: name,
    failure,
    detail,
  });
  return new PodsocksError('ERR_DIAL', message, { cause });
}

/** Which failure an error of the resolver or of its lookup function tells of; undefined for all other errors. */
export function failureOf(error: unknown): ResolveFailure | undefined {
  const { failure, cause } = error as Partial<LookupError>;
  return failure ?? (cause as Partial<LookupError> | undefined)?.failure;
}
