import type { LookupFunction } from 'node:net';

/**
 * A lookup function in shares: one user who asks for names that nobody answers for does not keep all others from theirs.
 * A name goes on being looked up when the connection that wanted it has been given up, so connections are no bound for it.
 */
export class UserLookups {
  readonly #lookup: LookupFunction;
  readonly #most: number;
  readonly #pending = new Map<string, number>();

  /** @param most names that one user may have looked up at a time; to ask for more fails with EBUSY. */
  constructor(lookup: LookupFunction, most: number) {
    this.#lookup = lookup;
    this.#most = most;
  }

  of(user: string): LookupFunction {
    return (hostname, options, callback) => {
      const pending = this.#pending.get(user) ?? 0;
      if (pending >= this.#most) {
        const error = Object.assign(new Error(`${hostname}: too many names are being looked up`), { code: 'EBUSY' });
        process.nextTick(callback, error, options.all ? [] : '');
        return;
      }
      this.#pending.set(user, pending + 1);
      this.#lookup(hostname, options, (...answer) => {
        const left = this.#pending.get(user)! - 1;
        if (left > 0) this.#pending.set(user, left);
        else this.#pending.delete(user);
        callback(...answer);
      });
    };
  }
}
