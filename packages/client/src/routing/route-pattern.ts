import { readName } from '@podsocks/shared/matching/name-pattern';
import { parseNetwork } from '@podsocks/shared/matching/network';
import { type PortRange, parsePorts } from '@podsocks/shared/matching/port-ranges';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import type { RoutePlace, RouteRule } from './route-rule.ts';

/** Where a rule leads, as a user writes it. */
export interface RoutePattern extends Pick<RouteRule, 'to' | 'ports'> {
  readonly text: string;
}

/**
 * Reads
 *
 *   10.0.0.0/8   10.1.2.3   fd00::/8     a network, an address
 *   db.example.com                       the name
 *   *.example.com                        all below it, at any depth, and not itself
 *   .example.com                         both
 *   *                                    anything
 *
 * each with a port or ports behind it or not (`10.0.0.0/8:443`, `[fd00::/8]:443`, `*.example.com:8000-8999`), or a port alone
 * (`:6379`).
 *
 * @throws PodsocksError ERR_CONFIG.
 */
export function parseRoutePattern(text: string): RoutePattern {
  const { place, port } = split(text);
  const to = placeOf(place, text);
  return { text, ...(to && { to }), ...(port !== undefined && { ports: portsOf(port, text) }) };
}

function split(text: string): { readonly place: string; readonly port?: string | undefined } {
  const [, bracketed, behind] = /^\[([^\]]*:[^\]]*)\](?::(.*))?$/.exec(text) ?? [];
  if (bracketed !== undefined) return { place: bracketed, port: behind };
  const colon = text.indexOf(':');
  if (colon < 0 || text.includes(':', colon + 1)) return { place: text }; // IPv6 has two colons at least
  return { place: text.slice(0, colon) || '*', port: text.slice(colon + 1) };
}

function placeOf(place: string, text: string): readonly RoutePlace[] | undefined {
  if (place === '*') return undefined;
  // What has a slash or a colon, or consists of digits and dots, was meant as a network.
  if (/^[\da-fA-F.:]+\/\d+$|^[\da-fA-F]*:[\da-fA-F:.]*$|^\d+(?:\.\d+)*$/.test(place)) return [parseNetwork(place)];
  const isBelow = place.startsWith('*.');
  const isBoth = place.startsWith('.');
  const name = readName(isBelow ? place.slice(2) : isBoth ? place.slice(1) : place);
  if (name === undefined) throw wrong(text);
  if (isBelow) return [{ kind: 'below', name }];
  return isBoth
    ? [
        { kind: 'name', name },
        { kind: 'below', name },
      ]
    : [{ kind: 'name', name }];
}

/** One port or range: in the environment, commas are between patterns. */
function portsOf(port: string, text: string): readonly PortRange[] {
  if (!/^\d+(?:-\d+)?$/.test(port)) throw wrong(text);
  return parsePorts(port);
}

function wrong(text: string): PodsocksError {
  return new PodsocksError(
    'ERR_CONFIG',
    `${JSON.stringify(text.slice(0, 60))} is no target of a route; write a network (10.0.0.0/8, fd00::/8), an address, a name ` +
      '(db.example.com; *.example.com for all below it; .example.com for both; other letters as punycode) or * for anything, ' +
      'with a port behind it or not (10.0.0.0/8:443, [fd00::/8]:443, *.example.com:8000-8999), or a port alone (:6379)',
  );
}

/**
 * The order in which the targets of flags are asked, since the order in which flags of different names were given is not known:
 * names first, and of names and of networks the narrowest; of those alike the one with the fewest ports.
 */
export function comparePatterns(one: RoutePattern, other: RoutePattern): number {
  return rank(one) - rank(other) || width(other) - width(one) || ports(one) - ports(other);
}

function rank({ to }: RoutePattern): number {
  if (to === undefined) return 3;
  if (to[0]!.kind === 'network') return 2;
  return to.length === 1 && to[0]!.kind === 'name' ? 0 : 1;
}

/** More is narrower. Of two names that one host is below, the longer one is below the other. */
function width({ to }: RoutePattern): number {
  const place = to?.at(-1);
  if (place === undefined) return 0;
  if (place.kind === 'network') return place.prefix;
  return place.kind === 'expression' ? 0 : place.name.length;
}

function ports({ ports }: RoutePattern): number {
  return ports === undefined ? 65_536 : ports[0]!.last - ports[0]!.first + 1;
}
