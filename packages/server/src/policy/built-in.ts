import { BITS, type IpAddress } from '@podsocks/shared/matching/ip-address';
import { contains, type Network, parseNetwork } from '@podsocks/shared/matching/network';
import { denial, type Verdict } from './verdict.ts';

/** What is denied although no rule says so, and what a rule has to say to lift that. */
export interface Guard {
  readonly verdict: Verdict;
  /** An allow rule lifts it with a network of at least so many bits, which therefore lies within the denied one. */
  readonly leastPrefix: number;
  /** Whether it has to spell the port out, too. */
  readonly needsPort: boolean;
}

/**
 * Denied because the server, or the machine that it runs on, trusts whoever comes from there, or because no connection goes
 * there. Of two that hold an address the first one counts. IPv4-mapped addresses are IPv4 by then.
 *
 * Not here, because clusters have their pods and services there: private networks (RFC 1918), shared ones (100.64.0.0/10),
 * unique local ones (fc00::/7), and 240.0.0.0/4, which GKE gives to pods.
 */
const DENIED: readonly (readonly [name: string, ...networks: string[]])[] = [
  // Each hands out credentials or the secrets of a node to whoever can connect. They are apart from link-local, so that a rule
  // for that does not let anybody at them. Sources: the providers' documentation of their metadata services.
  [
    'cloud metadata',
    '169.254.169.254', // AWS, Google Cloud, Azure, Oracle, OpenStack, DigitalOcean, Hetzner, IBM, Akamai
    '169.254.170.2', // AWS: credentials of ECS tasks
    '169.254.170.23', // AWS: EKS Pod Identity
    'fd00:ec2::254', // AWS over IPv6
    'fd00:ec2::23', // AWS: EKS Pod Identity over IPv6
    'fd20:ce::254', // Google Cloud over IPv6
    '168.63.129.16', // Azure: WireServer, which has the settings of a node's extensions
    '100.100.100.200', // Alibaba Cloud
    '192.0.0.192', // Oracle Cloud Classic
    'fd00:c1::a9fe:a9fe', // Oracle Cloud over IPv6
    '169.254.42.42', // Scaleway
    'fd00:42::42', // Scaleway over IPv6
    '169.254.0.23', // Tencent Cloud
    'fd00:a9fe:a9fe::1', // Akamai over IPv6
    'fe80::a9fe:a9fe', // OpenStack and Akamai over IPv6
  ],
  // RFC 1122 section 3.2.1.3 and RFC 4291 section 2.5.2. Linux connects 0.0.0.0 and :: to its own loopback.
  ['unspecified', '0.0.0.0/8', '::/128'],
  // RFC 1122 section 3.2.1.3, RFC 4291 section 2.5.3: sidecars, debuggers, the server's own metrics.
  ['loopback', '127.0.0.0/8', '::1/128'],
  // RFC 3927, RFC 4291 section 2.5.6: kubelet, node-local DNS, and whatever metadata service is not listed above.
  ['link-local', '169.254.0.0/16', 'fe80::/10'],
  // RFC 5771, RFC 4291 section 2.7: one datagram becomes many.
  ['multicast', '224.0.0.0/4', 'ff00::/8'],
  // RFC 919 section 7.
  ['broadcast', '255.255.255.255/32'],
  // RFC 8215: made for translating private IPv4, in a form (RFC 6052 section 2.2) that only its operator knows, so that
  // what such an address embeds cannot be judged.
  ['local NAT64', '64:ff9b:1::/48'],
];

interface Denied {
  readonly network: Network;
  readonly guard: Guard;
}

const ALL: readonly Denied[] = DENIED.flatMap(([name, ...networks]) =>
  networks.map(text => {
    const network = parseNetwork(text);
    return { network, guard: { verdict: denial(name), leastPrefix: network.prefix, needsPort: false } };
  }),
);

/** By the first byte of the address, because this is asked for every datagram, and nearly none is in any of them. */
const BY_FIRST_BYTE = {
  4: Array.from({ length: 256 }, (_, byte) => ALL.filter(({ network }) => canBeginWith(network, 4, byte))),
  6: Array.from({ length: 256 }, (_, byte) => ALL.filter(({ network }) => canBeginWith(network, 6, byte))),
} as const;

function firstByte({ family, a, d }: IpAddress): number {
  return (family === 4 ? d : a) >>> 24;
}

function canBeginWith({ base, prefix }: Network, family: 4 | 6, byte: number): boolean {
  return base.family === family && (byte ^ firstByte(base)) >>> Math.max(0, 8 - prefix) === 0;
}

/** What is denied about an address, if anything. */
export function builtInGuard(address: IpAddress): Guard | undefined {
  for (const { network, guard } of BY_FIRST_BYTE[address.family][firstByte(address)]!) {
    if (contains(network, address)) return guard;
  }
  return undefined;
}

/** The server's own listeners: lifted only by a rule that spells out both address and port. */
export const OWN_LISTENER: { readonly 4: Guard; readonly 6: Guard } = {
  4: { verdict: denial('the server itself'), leastPrefix: BITS[4], needsPort: true },
  6: { verdict: denial('the server itself'), leastPrefix: BITS[6], needsPort: true },
};
