import { lookup } from 'node:dns';
import type { LookupFunction } from 'node:net';

/**
 * The system's resolver, in the form that node:net asks for. The order of addresses is the system's.
 *
 * @param ipv6First IPv6 before IPv4 (`-6`).
 */
export function systemLookup(ipv6First: boolean): LookupFunction {
  if (!ipv6First) return lookup as LookupFunction;
  return (hostname, options, callback) => lookup(hostname, { ...options, order: 'ipv6first' }, callback);
}
