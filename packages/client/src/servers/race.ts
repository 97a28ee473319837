import { setMaxListeners } from 'node:events';
import type { Connection } from '@podsocks/shared/net/connection';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import type { ServerLink } from './server-link.ts';

/** A server, and a connection to it for one request. */
export interface Reached {
  readonly link: ServerLink;
  readonly connection: Connection;
}

export interface RaceOptions {
  /** Milliseconds that each server has, and within half of which all are tried. */
  readonly timeout: number;
  /** Gives it up. */
  readonly signal?: AbortSignal | undefined;
}

/** Between two servers at least, however many there are. */
const LEAST_PATIENCE_MS = 50;

/** Of very many servers, some tell enough. */
const MOST_NAMED = 8;

/**
 * Connects to one of several servers, the first before the others: the next is tried beside it when it takes longer than it
 * should, or has failed. Whoever connects first is taken, and the other connections are closed.
 *
 * @param links at least one, in the order of preference.
 * @throws PodsocksError: of one server its own; of several ERR_TIMEOUT where all were late, else ERR_DIAL, which names
 *   what each has failed with; ERR_CLOSED where it was given up.
 */
export function firstToConnect(links: readonly ServerLink[], { timeout, signal }: RaceOptions): Promise<Reached> {
  return new Promise((resolve, reject) => {
    const over = new AbortController();
    setMaxListeners(0, over.signal); // each dial is one
    const errors: Error[] = [];
    const mostPatience = Math.max(LEAST_PATIENCE_MS, timeout / 2 / links.length);
    let begun = 0;
    let timer: NodeJS.Timeout | undefined;

    const finish = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      over.abort();
    };
    const onAbort = () => {
      finish();
      reject(new PodsocksError('ERR_CLOSED', 'given up before a server was reached'));
    };
    const begin = () => {
      clearTimeout(timer);
      const link = links[begun++]!;
      if (begun < links.length) {
        timer = setTimeout(
          () => {
            link.suspect('it is slow to connect');
            begin();
          },
          Math.min(link.patience, mostPatience),
        );
      }
      link.dial(timeout, over.signal).then(
        connection => {
          if (over.signal.aborted) {
            connection.close();
            return;
          }
          finish();
          resolve({ link, connection });
        },
        (error: Error) => {
          if (over.signal.aborted) return;
          errors.push(error);
          if (begun < links.length) begin();
          else if (errors.length === links.length) {
            finish();
            reject(failureOf(links, errors));
          }
        },
      );
    };
    if (signal?.aborted) onAbort();
    else {
      signal?.addEventListener('abort', onAbort);
      begin();
    }
  });
}

function failureOf(links: readonly ServerLink[], errors: readonly Error[]): Error {
  if (links.length === 1) return errors[0]!;
  const areLate = errors.every(error => error instanceof PodsocksError && error.code === 'ERR_TIMEOUT');
  const named = errors.slice(0, MOST_NAMED).map(({ message }) => message);
  const more = errors.length > MOST_NAMED ? [`and ${errors.length - MOST_NAMED} more`] : [];
  return new PodsocksError(
    areLate ? 'ERR_TIMEOUT' : 'ERR_DIAL',
    `none of ${links.length} servers can be reached: ${[...named, ...more].join('; ')}`,
  );
}
