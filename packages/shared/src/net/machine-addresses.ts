import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { localIpv4, localIpv6 } from './local-routes.ts';

/** The addresses at which this machine reaches itself, and whole networks (`a.b.c.d/n`); as far as the system tells them. */
export function machineAddresses(): readonly string[] {
  return [
    ...told(() => Object.values(networkInterfaces()).flatMap(infos => (infos ?? []).map(({ address }) => address))),
    ...(process.platform === 'linux'
      ? [
          ...told(() => localIpv4(readFileSync('/proc/net/fib_trie', 'latin1'))),
          ...told(() => localIpv6(readFileSync('/proc/net/ipv6_route', 'latin1'))),
        ]
      : []),
  ];
}

/** None where the system does not say (some sandboxes). */
function told(read: () => readonly string[]): readonly string[] {
  try {
    return read();
  } catch {
    return [];
  }
}
