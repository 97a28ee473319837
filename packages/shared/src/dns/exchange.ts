import type { Endpoint } from '../net/listener.ts';
import type { MalformedMessage } from './record-walk.ts';

/** What a message is to somebody who has asked: the answer, that of another question, or one that is to be asked for by TCP. */
export type Read<Answer> = Answer | 'foreign' | 'truncated' | MalformedMessage;

/** One question to one server. */
export interface ExchangeOptions<Answer> {
  readonly server: Endpoint;
  /** The message of the question. */
  readonly query: Buffer;
  readonly read: (message: Buffer) => Read<Answer>;
  /** Milliseconds until it is given up. */
  readonly timeout: number;
  /** What is under way, so that it can be ended from outside. */
  readonly open: OpenExchanges;
}

/** What became of it. */
export type Reply<Answer = unknown> =
  | { readonly kind: 'answer'; readonly answer: Answer }
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
export function exchange<Answer>(
  { timeout, open }: ExchangeOptions<Answer>,
  start: (settle: (reply: Reply<Answer>) => void) => Started,
): Promise<Reply<Answer>> {
  return new Promise(resolve => {
    const settle = (reply: Reply<Answer>) => {
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
export function unreachable(error: unknown): Reply<never> {
  const { code, message } = error as NodeJS.ErrnoException;
  return { kind: 'unreachable', detail: code ?? message };
}
