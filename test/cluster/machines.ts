import type { Namespace } from '../support/network-namespaces.ts';

/*
 *  neighbour ═ veth ═ laptop ═ veth ═ node ═ the cluster
 *                            ═ veth ═ internet
 *
 * Each link is a network of its own. Nobody passes on what is for others: who is on one link reaches the laptop, and no further.
 */

/** Somebody on another link of the laptop than the one to the cluster. */
export interface Machine {
  readonly name: string;
  readonly networks: readonly LinkNetwork[];
}

/** A network of IPv4 or IPv6 on a link. */
interface LinkNetwork {
  readonly bits: number;
  readonly laptop: string;
  readonly machine: string;
  /** Another address of the machine, to which the laptop has a route. */
  readonly beyond?: string;
}

/** Stands for all that is public, and for the router on the way there. The cluster has no way to it. */
export const INTERNET = {
  name: 'internet',
  networks: [
    { bits: 24, laptop: '192.168.1.2', machine: '192.168.1.1', beyond: '203.0.113.10' },
    { bits: 64, laptop: '2001:db8:1::2', machine: '2001:db8:1::1', beyond: '2001:db8:113::10' },
  ],
} as const satisfies Machine;

/** Another machine of the laptop's local network. */
export const NEIGHBOUR = {
  name: 'neighbour',
  networks: [
    { bits: 24, laptop: '192.168.77.1', machine: '192.168.77.2' },
    { bits: 64, laptop: 'fd00:77::1', machine: 'fd00:77::2' },
  ],
} as const satisfies Machine;

const [{ beyond: PUBLIC4 }, { beyond: PUBLIC6 }] = INTERNET.networks;

export const PUBLIC_NAME = 'www.public.example';
/** A public name that leads home. */
export const HOME_NAME = 'home.public.example';

/** What the laptop finds them to be. */
export const PUBLIC_HOSTS = [
  `${PUBLIC4} ${PUBLIC_NAME}\n`,
  `${PUBLIC6} ${PUBLIC_NAME}\n`,
  `127.0.0.1 ${HOME_NAME}\n`,
].join('');

/** Links a machine to the laptop. Each interface is called like the other end. */
export function connectMachine(laptop: Namespace, machine: Namespace, { name, networks }: Machine): void {
  laptop.ip('link', 'add', name, 'type', 'veth', 'peer', 'name', 'laptop', 'netns', machine.name);
  for (const network of networks) {
    laptop.ip('address', 'add', `${network.laptop}/${network.bits}`, 'dev', name);
    machine.ip('address', 'add', `${network.machine}/${network.bits}`, 'dev', 'laptop');
    if (network.beyond !== undefined) machine.ip('address', 'add', network.beyond, 'dev', 'lo');
  }
  machine.ip('link', 'set', 'laptop', 'up');
  laptop.ip('link', 'set', name, 'up');
  for (const { beyond, machine: via } of networks) {
    if (beyond !== undefined) laptop.ip('route', 'add', beyond, 'via', via);
  }
}
