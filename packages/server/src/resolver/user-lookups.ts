import type { LookupOptions } from 'node:dns';
import type { LookupFunction } from 'node:net';
import { resolveError } from './failure.ts';
import { type SlotGrant, Slots } from './slots.ts';

export interface UserLookupsOptions {
  readonly lookup: LookupFunction;
  /** Whether the answer is there already, so that nobody has to be asked. */
  readonly isKnown: (hostname: string, family: LookupOptions['family']) => boolean;
  /** Names that one user may have looked up at a time; others wait in turn. */
  readonly most: number;
  /** For so many milliseconds; then, or if very many wait already, it fails with EBUSY. */
  readonly patience: number;
}

/** Beyond it, somebody asks for more names than will ever get their turn. */
const MOST_WAITING = 1024;

/** A name that somebody wants to know; all who want the same have one slot together. */
interface Wanted {
  readonly granted: Promise<SlotGrant>;
  by: number;
}

interface Share {
  readonly slots: Slots;
  readonly names: Map<string, Wanted>;
}

/**
 * A lookup function in shares: one user who asks for names that nobody answers for does not keep all others from theirs.
 * A name goes on being looked up when the connection that wanted it has been given up, so connections are no bound for it.
 */
export class UserLookups {
  readonly #options: UserLookupsOptions;
  /** Of those who wait for any. */
  readonly #shares = new Map<string, Share>();
  #asked = 0;

  constructor(options: UserLookupsOptions) {
    this.#options = options;
  }

  of(user: string): LookupFunction {
    const { lookup, isKnown } = this.#options;
    return (hostname, options, callback) => {
      if (isKnown(hostname, options.family)) {
        lookup(hostname, options, callback);
        return;
      }
      const key = `${options.family ?? 0} ${hostname.toLowerCase()}`;
      void this.#begin(user, key).then(grant => {
        if (grant === 'taken') {
          lookup(hostname, options, (...answer) => {
            this.#end(user, key);
            callback(...answer);
          });
          return;
        }
        this.#end(user, key);
        // Out of the promise, which would turn what the callback throws into a rejection.
        process.nextTick(callback, resolveError(hostname, grant).cause as Error, options.all ? [] : '');
      });
    };
  }

  /**
   * Asks for a name by another way, out of the same share: each time counts.
   *
   * @throws PodsocksError ERR_DIAL, as a resolver that is busy does; and what `look` throws.
   */
  async ask<T>(user: string, name: string, look: () => Promise<T>): Promise<T> {
    const key = `ask ${this.#asked++}`;
    try {
      const grant = await this.#begin(user, key);
      if (grant !== 'taken') throw resolveError(name, grant);
      return await look();
    } finally {
      this.#end(user, key);
    }
  }

  #begin(user: string, key: string): Promise<SlotGrant> {
    const { most, patience } = this.#options;
    let share = this.#shares.get(user);
    if (share === undefined) {
      share = { slots: new Slots({ most, mostWaiting: MOST_WAITING }), names: new Map() };
      this.#shares.set(user, share);
    }
    let wanted = share.names.get(key);
    if (wanted === undefined) {
      wanted = { granted: share.slots.take(patience), by: 0 };
      share.names.set(key, wanted);
    }
    wanted.by++;
    return wanted.granted;
  }

  /** To be called once for each {@link #begin}, whatever came of it. */
  #end(user: string, key: string): void {
    const share = this.#shares.get(user)!;
    const wanted = share.names.get(key)!;
    if (--wanted.by > 0) return;
    share.names.delete(key);
    if (share.names.size === 0) this.#shares.delete(user);
    void wanted.granted.then(grant => {
      if (grant === 'taken') share.slots.give();
    });
  }
}
