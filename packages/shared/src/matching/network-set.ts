import type { IpAddress } from './ip-address.ts';
import { compareAddresses, contains, type Network } from './network.ts';

/** So many are asked one after the other, which is faster than to search among them. */
const FEW = 4;

/**
 * Many networks as one set. Block lists of a country have thousands of them, so the set is searched by halves: 13 steps for
 * 5000.
 */
export class NetworkSet {
  /** As they were given. */
  readonly #networks: readonly Network[];
  /** None within another, so that only the last one that begins at or before an address can hold it. */
  readonly #ipv4: readonly Network[];
  readonly #ipv6: readonly Network[];

  constructor(networks: readonly Network[]) {
    this.#networks = networks;
    const disjoint: Network[] = [];
    for (const network of networks.toSorted((x, y) => compareAddresses(x.base, y.base) || x.prefix - y.prefix)) {
      // Networks are nested or disjoint, never across each other: the one before holds it, or none.
      const last = disjoint.at(-1);
      if (last === undefined || !contains(last, network.base)) disjoint.push(network);
    }
    this.#ipv4 = disjoint.filter(({ base }) => base.family === 4);
    this.#ipv6 = disjoint.filter(({ base }) => base.family === 6);
  }

  has(address: IpAddress): boolean {
    const networks = address.family === 4 ? this.#ipv4 : this.#ipv6;
    if (networks.length <= FEW) {
      for (const network of networks) if (contains(network, address)) return true;
      return false;
    }
    let from = 0;
    let to = networks.length;
    while (from < to) {
      const middle = (from + to) >>> 1;
      if (compareAddresses(networks[middle]!.base, address) <= 0) from = middle + 1;
      else to = middle;
    }
    return from > 0 && contains(networks[from - 1]!, address);
  }

  /** Whether a network of at least so many bits was given that holds the address. */
  hasNarrow(address: IpAddress, leastPrefix: number): boolean {
    return this.#networks.some(network => network.prefix >= leastPrefix && contains(network, address));
  }
}
