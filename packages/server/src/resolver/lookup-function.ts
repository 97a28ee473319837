import type { LookupAddress, LookupOptions } from 'node:dns';
import type { LookupFunction } from 'node:net';
import type { Resolver } from './resolver.ts';

/**
 * A resolver in the form that node:net and `TargetNames` ask for. Of the options `family` and `all` count; the order of
 * addresses is the resolver's.
 *
 * The callback is given the cause of the resolver's error, whose `code` is a system's (`ENOTFOUND`, `ETIMEOUT`, …): `dial`
 * makes its own error of that, as it does of all others.
 */
export function asLookup(resolver: Pick<Resolver, 'resolve'>): LookupFunction {
  return (hostname, options, callback) => {
    resolver.resolve(hostname, lookupFamily(options.family)).then(
      found => {
        const addresses: LookupAddress[] = found.map(found => ({ ...found }));
        const [first] = addresses;
        // Out of the promise, which would turn what the callback throws into a rejection.
        if (options.all) process.nextTick(callback, null, addresses);
        else process.nextTick(callback, null, first!.address, first!.family);
      },
      error => process.nextTick(callback, (error as Error).cause ?? error, options.all ? [] : ''),
    );
  };
}

/** The family that a lookup wants; undefined for both. */
export function lookupFamily(family: LookupOptions['family']): 4 | 6 | undefined {
  if (family === 6 || family === 'IPv6') return 6;
  return family === 4 || family === 'IPv4' ? 4 : undefined;
}
