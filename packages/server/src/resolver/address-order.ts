import { networkInterfaces } from 'node:os';
import type { Address } from '@podsocks/shared/dns/address';

/** Whether packets of a family can leave from here. */
export type UsableFamily = (family: 4 | 6) => boolean;

/** Interfaces come with the pod, or with a VPN; and looking takes 50 µs. */
const LOOK_MS = 10_000;

/**
 * Whether this machine has an address of a family that reaches further than itself and its links. getaddrinfo finds that
 * out for each address (RFC 6724 section 5, rule 1); in a pod, where there is one interface, it is the same.
 *
 * @param now milliseconds.
 */
export function usableFamilies(
  now: () => number,
  interfaces: typeof networkInterfaces = networkInterfaces,
): UsableFamily {
  let usable: readonly (4 | 6)[] = [];
  let until = Number.NEGATIVE_INFINITY;
  return family => {
    if (now() >= until) {
      until = now() + LOOK_MS;
      usable = look(interfaces);
    }
    return usable.includes(family);
  };
}

function look(interfaces: typeof networkInterfaces): readonly (4 | 6)[] {
  try {
    return Object.values(interfaces())
      .flatMap(addresses => addresses ?? [])
      .filter(({ internal, address }) => !internal && !/^fe[89ab]/i.test(address))
      .map(({ family }) => (family === 'IPv6' ? 6 : 4));
  } catch {
    return [4, 6]; // sandboxes that do not tell
  }
}

/**
 * The family whose addresses come first: the one that is wanted, unless only the other can be used.
 */
export function firstFamily(ipv6First: boolean, usable: UsableFamily): 4 | 6 {
  const [wanted, other] = ipv6First ? ([6, 4] as const) : ([4, 6] as const);
  return !usable(wanted) && usable(other) ? other : wanted;
}

/**
 * All addresses in the order to be tried: families in turn (RFC 8305 section 4), so that a family without a way out costs
 * one attempt, not one for each of its addresses.
 *
 * @param turn which address of each family is the first: another for each connection, so that they spread over the pods of
 *   a headless service, and do not all begin with one that is dead.
 */
export function inTurn(addresses: readonly Address[], first: 4 | 6, turn = 0): Address[] {
  const leading = rotated(
    addresses.filter(({ family }) => family === first),
    turn,
  );
  const others = rotated(
    addresses.filter(({ family }) => family !== first),
    turn,
  );
  const ordered: Address[] = [];
  for (let i = 0; i < leading.length || i < others.length; i++) {
    if (i < leading.length) ordered.push(leading[i]!);
    if (i < others.length) ordered.push(others[i]!);
  }
  return ordered;
}

function rotated(addresses: readonly Address[], turn: number): readonly Address[] {
  const start = addresses.length > 1 ? turn % addresses.length : 0;
  return start === 0 ? addresses : [...addresses.slice(start), ...addresses.slice(0, start)];
}
