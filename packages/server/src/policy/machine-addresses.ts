import { networkInterfaces } from 'node:os';

/** The addresses of all interfaces; none where the system does not tell them (some sandboxes). */
export function machineAddresses(): readonly string[] {
  try {
    return Object.values(networkInterfaces()).flatMap(infos => (infos ?? []).map(({ address }) => address));
  } catch {
    return [];
  }
}
