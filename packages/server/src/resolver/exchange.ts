import type { Endpoint } from '@podsocks/shared/net/listener';
import type { DnsAnswer, Query } from './message.ts';

/** One question to one server. */
export interface ExchangeOptions {
  readonly server: Endpoint;
  readonly query: Query;
  /** Milliseconds until it is given up. */
  readonly timeout: number;
  /** What is under way, so that it can be ended from outside. */
  readonly open: OpenExchanges;
}

/** What became of it. */
export type Reply =
  | { readonly kind: 'answer'; readonly answer: DnsAnswer }
  /** The answer did not fit, or somebody else tries to answer in the server's place: to be asked by TCP. */
  | { readonly kind: 'by-tcp' }
  | { readonly kind: 'timed-out' | 'closed' }
  /** The server cannot be reached, or what it says cannot be read. */
  | { readonly kind: 'unreachable' | 'malformed'; readonly detail: string };

/** Ends what is under way. */
export type OpenExchanges = Set<() => void>;

/** A started exchange. */
interface Started {
  /** Ends it, and frees all that it has. */
  readonly dispose: () => void;
}

/**
 * Runs an exchange until something settles it: an answer, an error, its deadline, or the end of the resolver. Whatever it
 * is, everything is freed, once.
 *
 * @param start begins it; must not settle before it returns.
 */
export function exchange(
  { timeout, open }: ExchangeOptions,
  start: (settle: (reply: Reply) => void) => Started,
): Promise<Reply> {
  return new Promise(resolve => {
    const settle = (reply: Reply) => {
      if (!open.delete(abort)) return;
      clearTimeout(timer);
      started.dispose();
      resolve(reply);
    };
    const abort = () => settle({ kind: 'closed' });
    const timer = setTimeout(() => settle({ kind: 'timed-out' }), timeout).unref();
    open.add(abort);
    const started = start(settle);
  });
}

/** The reply for a system's error. */
export function unreachable(error: unknown): Reply {
  const { code, message } = error as NodeJS.ErrnoException;
  return { kind: 'unreachable', detail: code ?? message };
}
