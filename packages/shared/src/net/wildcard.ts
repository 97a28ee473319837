/** Not all systems take a wildcard as a destination. */
const REACHED_AT: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' };

/** Whether an address stands for all that a machine has. */
export function isWildcard(address: string): boolean {
  return Object.hasOwn(REACHED_AT, address);
}

/** Where programs on the same machine reach who listens at an address: for all of them, on loopback. */
export function reachedAt(address: string): string {
  return REACHED_AT[address] ?? address;
}
