import { type Cluster, HTTP_PORT, type RunningPod } from './cluster.ts';
import type { Records, Zones } from './cluster-dns.ts';
import type { ServicePort } from './kube-proxy.ts';

/** Pods of the Service `web`, with an address of each family. */
const WEB = ['web-0', 'web-1', 'web-2'] as const;
/** Those of the StatefulSet `db`. */
const DB = ['db-0', 'db-1', 'db-2'] as const;

export const WEB_ADDRESS = '10.96.0.20';
export const WEB6_ADDRESS = 'fd00:10:96::20';
/** Of the headless Service `many`: more than fit into a datagram of 1232 bytes. */
export const MANY = Array.from({ length: 100 }, (_, number) => `10.244.1.${number + 1}`);
/** Within the cluster's networks, though its name is not the cluster's. */
const LEGACY_ADDRESS = '10.244.2.7';
/** Outside of the cluster. */
export const PUBLIC_ADDRESS = '198.51.100.10';
export const METADATA_ADDRESS = '169.254.169.254';

export const WEB_SERVICE: ServicePort = {
  name: 'web',
  clusterIp: WEB_ADDRESS,
  port: 80,
  protocol: 'tcp',
  targetPort: HTTP_PORT,
};
const WEB6_SERVICE: ServicePort = { ...WEB_SERVICE, name: 'web6', clusterIp: WEB6_ADDRESS };

export function addressesOf(name: string): readonly [ipv4: string, ipv6: string] {
  const number = 10 + [...WEB, ...DB].indexOf(name as (typeof WEB)[number]);
  return [`10.244.0.${number}`, `fd00:10:244::${number}`];
}

/** As CoreDNS answers for Services of the namespace `default`. */
const CLUSTER: Records = [
  ['kubernetes.default.svc', 'A', '10.96.0.1'],
  ['kube-dns.kube-system.svc', 'A', '10.96.0.10'],
  ['_dns._udp.kube-dns.kube-system.svc', 'SRV', '0 100 53 kube-dns.kube-system.svc'],
  ['web.default.svc', 'A', WEB_ADDRESS],
  ['_http._tcp.web.default.svc', 'SRV', '0 100 80 web.default.svc'],
  ['web6.default.svc', 'AAAA', WEB6_ADDRESS],
  ['dual.default.svc', 'A', WEB_ADDRESS],
  ['dual.default.svc', 'AAAA', WEB6_ADDRESS],
  ...DB.flatMap((pod): Records => {
    const [ipv4, ipv6] = addressesOf(pod);
    return ['db.default.svc', `${pod}.db.default.svc`].flatMap(
      (name): Records => [
        [name, 'A', ipv4],
        [name, 'AAAA', ipv6],
      ],
    );
  }),
  ...DB.map((pod): Records[number] => ['_peer._tcp.db.default.svc', 'SRV', `0 33 ${HTTP_PORT} ${pod}.db.default.svc`]),
  ...MANY.map((address): Records[number] => ['many.default.svc', 'A', address]),
  ['external.default.svc', 'CNAME', 'legacy.corp.example.'],
  ['outside.default.svc', 'CNAME', 'www.example.com.'],
  ['api.payments.svc', 'A', '10.96.0.30'],
  ['info.default.svc', 'TXT', '"not an address"'],
  ['info.kube-system.svc', 'A', '10.96.0.31'],
];

const WORLD: Records = [
  ['legacy.corp.example', 'A', LEGACY_ADDRESS],
  ['www.example.com', 'A', PUBLIC_ADDRESS],
  ['metadata.example', 'A', METADATA_ADDRESS],
  ['loopback.example', 'A', '127.0.0.1'],
];

/** As CoreDNS answers for the addresses of Services and of pods behind them. */
const NAMES_OF_ADDRESSES: Records = [
  [WEB_ADDRESS, 'web.default.svc.cluster.local'],
  [WEB6_ADDRESS, 'web6.default.svc.cluster.local'],
  ...DB.flatMap(pod => addressesOf(pod).map(address => [address, `${pod}.db.default.svc.cluster.local`] as const)),
].map(([address, name]) => [reverseName(address), 'PTR', `${name}.`] as const);

/** RFC 1035 section 3.5, RFC 3596 section 2.5. */
function reverseName(address: string): string {
  if (!address.includes(':')) return `${address.split('.').reverse().join('.')}.in-addr.arpa`;
  const [before, behind] = address.split('::').map(half => half.split(':').filter(Boolean)) as [string[], string[]];
  const groups = [...before, ...Array(8 - before.length - behind.length).fill('0'), ...behind];
  const digits = groups.map(group => group.padStart(4, '0')).join('');
  return `${[...digits].reverse().join('.')}.ip6.arpa`;
}

export const ZONES: Zones = { cluster: CLUSTER, world: [...WORLD, ...NAMES_OF_ADDRESSES] };

/** The pods of `web`, behind its Service. */
export async function startWeb({ startHttpPod, proxy }: Cluster): Promise<readonly RunningPod[]> {
  const pods = await Promise.all(WEB.map(name => startHttpPod(name, addressesOf(name))));
  proxy.addService(
    WEB_SERVICE,
    pods.map(({ addresses }) => addresses[0]!),
  );
  proxy.addService(
    WEB6_SERVICE,
    pods.map(({ addresses }) => addresses[1]!),
  );
  return pods;
}

export function startDb({ startHttpPod }: Cluster): Promise<readonly RunningPod[]> {
  return Promise.all(DB.map(name => startHttpPod(name, addressesOf(name))));
}

/** What `many`, `external` and what is outside lead to. */
export async function startOthers({ startHttpPod }: Cluster): Promise<void> {
  await Promise.all([
    startHttpPod('many', MANY),
    startHttpPod('legacy', [LEGACY_ADDRESS]),
    startHttpPod('public', [PUBLIC_ADDRESS, METADATA_ADDRESS]),
  ]);
}
