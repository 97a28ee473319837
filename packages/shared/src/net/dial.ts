import { isIP, type LookupFunction, type TcpNetConnectOpts } from 'node:net';
import { PodsocksError } from '../runtime/errors.ts';
import { formatTarget } from '../wire/address.ts';
import { Connection } from './connection.ts';
import { systemLookup } from './lookup.ts';

export interface DialOptions {
  readonly host: string;
  readonly port: number;
  /** Milliseconds for everything: look-up and all addresses. */
  readonly timeout: number;
  /** Try IPv6 before IPv4 (`-6`); otherwise the order is the system resolver's. */
  readonly ipv6First: boolean;
  readonly noDelay: boolean;
  /** Who knows names; default: the system. */
  readonly lookup?: LookupFunction;
  /** Is told of each address of a name that could not be connected to, or not in time. */
  readonly attemptFailed?: (address: string) => void;
  /** The local address to leave from; it also decides the family. */
  readonly localAddress?: string | undefined;
  /** Gives it up. */
  readonly signal?: AbortSignal | undefined;
}

/** Probes of a quiet connection begin after this; middle boxes forget it after a few minutes. */
export const KEEP_ALIVE_DELAY_MS = 60_000;

/**
 * Node gives up an address when it turns to the next, where RFC 8305 would let both go on; with its default of 250 ms a
 * host further away than that, behind a dead first address, could never be reached. This leaves room for a SYN that is
 * lost once.
 */
const ATTEMPT_TIMEOUT_MS = 1500;

/** Milliseconds that each of several addresses has, of so many for all. */
export function attemptTimeout(timeout: number): number {
  return Math.min(ATTEMPT_TIMEOUT_MS, Math.ceil(timeout / 3));
}

/**
 * Connects to a host; a name with several addresses by happy eyeballs (RFC 8305) as Node implements it, which is one
 * address after the other, families in turn.
 *
 * @returns a connection that does not read yet.
 * @throws PodsocksError ERR_TIMEOUT, ERR_CLOSED where it was given up, or ERR_DIAL whose `cause` is the system's error.
 */
export function dial(options: DialOptions): Promise<Connection> {
  const { host, port, timeout, ipv6First, noDelay, localAddress, signal } = options;
  const givenUp = () => new PodsocksError('ERR_CLOSED', `${formatTarget(options)}: given up`);
  if (signal?.aborted) return Promise.reject(givenUp());
  if (port === 0)
    return Promise.reject(new PodsocksError('ERR_DIAL', `${formatTarget(options)}: port 0 cannot be dialled`));
  return new Promise((resolve, reject) => {
    const connection = Connection.connect({
      host,
      port,
      noDelay,
      keepAlive: true,
      keepAliveInitialDelay: KEEP_ALIVE_DELAY_MS,
      autoSelectFamily: true,
      autoSelectFamilyAttemptTimeout: attemptTimeout(timeout),
      lookup: options.lookup ?? systemLookup(ipv6First),
      localAddress,
      family: localAddress === undefined ? undefined : localAddress.includes(':') ? 6 : 4,
    } as TcpNetConnectOpts);
    const { socket } = connection;
    const { attemptFailed } = options;
    if (attemptFailed !== undefined) {
      for (const event of ['connectionAttemptFailed', 'connectionAttemptTimeout']) socket.on(event, attemptFailed);
    }
    let isFound = isIP(host) !== 0;
    socket.once('lookup', () => {
      isFound = true;
    });
    const timer = setTimeout(() => {
      const what = isFound ? 'no answer' : 'no DNS server answers';
      fail(new PodsocksError('ERR_TIMEOUT', `${formatTarget(options)}: ${what} within ${timeout / 1000} s`));
    }, timeout);
    const settle = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', giveUp);
    };
    const fail = (error: unknown) => {
      settle();
      socket.off('connect', succeed);
      socket.destroy();
      reject(error instanceof PodsocksError ? error : dialError(options, error));
    };
    const giveUp = () => fail(givenUp());
    const succeed = () => {
      settle();
      socket.off('error', fail);
      resolve(connection);
    };
    signal?.addEventListener('abort', giveUp);
    socket.once('connect', succeed);
    socket.once('error', fail);
  });
}

const REASONS: Record<string, string> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  EHOSTUNREACH: 'host unreachable',
  ENETUNREACH: 'network unreachable',
  ETIMEDOUT: 'timed out',
  ENOTFOUND: 'no such name',
  EAI_AGAIN: 'the resolver does not answer',
  ENODATA: 'the name has no address, or none of the family that can be left from',
  ESERVFAIL: 'the DNS servers failed',
  ETIMEOUT: 'no DNS server answers',
  EBUSY: 'too many names are being looked up',
  ECANCELLED: 'the server is closing',
  EMFILE: 'this process is out of descriptors',
  ENFILE: 'this machine is out of descriptors',
  EADDRNOTAVAIL: 'no local address or port is left for it',
};

function dialError(options: DialOptions, cause: unknown): PodsocksError {
  const { code = 'unknown', detail } = cause as NodeJS.ErrnoException & { readonly detail?: string };
  const reason = REASONS[code] ?? 'cannot connect';
  const more = detail ? `: ${detail}` : '';
  return new PodsocksError('ERR_DIAL', `${formatTarget(options)}: ${reason} (${code})${more}`, { cause });
}
