import type { LookupAddress } from 'node:dns';
import type { LookupFunction } from 'node:net';

const NONE_ALLOWED = 'EPODSOCKSDENIED';

/**
 * A look-up that gives of what is found only what is chosen, so that what was allowed is what is dialled: nothing is looked up a
 * second time. Where nothing is chosen it fails, see {@link isNoneAllowed}.
 */
export function permittedLookup(
  lookup: LookupFunction,
  choose: (found: readonly LookupAddress[]) => LookupAddress[],
): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, found) => {
      const allowed = error ? [] : choose(found as LookupAddress[]);
      const failure = error ?? (allowed.length > 0 ? null : Object.assign(new Error('denied'), { code: NONE_ALLOWED }));
      if (options.all) callback(failure, allowed);
      else callback(failure, allowed[0]?.address ?? '', allowed[0]?.family ?? 0);
    });
  };
}

/** Whether a dial has failed because {@link permittedLookup} had no address for it. */
export function isNoneAllowed(error: unknown): boolean {
  const { code } = ((error as Error).cause ?? {}) as NodeJS.ErrnoException;
  return code === NONE_ALLOWED;
}
