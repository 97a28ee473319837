import { DNS_ADDRESS, DNS_POD_ADDRESSES, FAILING_ZONE, REFUSED_ZONE, type Zones } from './cluster-dns.ts';
import { ZONES } from './workloads.ts';

const LABEL_63 = 'l'.repeat(63);

/** What the zones of the workloads do not have: names that mean another thing, or nothing, in each domain. */
export const MANY_KINDS: Zones = {
  cluster: [
    ...ZONES.cluster,
    // Asked for in the domain "default.svc" it is there without an address, and in the next it has one.
    ['a.default.svc', 'A', '10.96.1.1'],
    ['a.b.default.svc', 'A', '10.96.1.2'],
    ['b.default.svc', 'AAAA', 'fd00:10:96::1:2'],
    ['b.kube-system.svc', 'A', '10.96.1.3'],
    ['example.com.default.svc', 'A', '10.96.1.4'],
    ['short.svc', 'A', '10.96.1.5'],
    ['shortest', 'A', '10.96.1.6'],
    ['*.wild.default.svc', 'A', '10.96.1.7'],
    ['chain-1.default.svc', 'CNAME', 'chain-2.default.svc'],
    ['chain-2.default.svc', 'CNAME', 'chain-3.kube-system.svc'],
    ['chain-3.kube-system.svc', 'CNAME', 'web.default.svc'],
    ['nowhere.default.svc', 'CNAME', 'missing.default.svc'],
    ['nowhere.svc', 'A', '10.96.1.8'],
    ['loop-1.default.svc', 'CNAME', 'loop-2.default.svc'],
    ['loop-2.default.svc', 'CNAME', 'loop-1.default.svc'],
    ['under_score.default.svc', 'A', '10.96.1.9'],
    ['7.default.svc', 'A', '10.96.1.10'],
    ['1a.default.svc', 'A', '10.96.1.11'],
    ['xn--bcher-kva.default.svc', 'A', '10.96.1.12'],
    ['upper.default.svc', 'A', '10.96.1.13'],
    [`${LABEL_63}.default.svc`, 'A', '10.96.1.14'],
    ['twice.default.svc', 'A', '10.96.1.15'],
    ['twice.svc', 'A', '10.96.1.16'],
    ['twice', 'A', '10.96.1.17'],
    ['many6.default.svc', 'A', '10.96.1.18'],
    ...Array.from({ length: 30 }, (_, number) => ['many6.default.svc', 'AAAA', `fd00:10:96::6:${number + 1}`] as const),
  ],
  world: [
    ...ZONES.world,
    ['example.com', 'A', '198.51.100.11'],
    ['example.com', 'AAAA', '2001:db8:1::11'],
    ['shortest', 'A', '198.51.100.12'],
    ['twice', 'AAAA', '2001:db8:1::12'],
    ['one.corp.example', 'A', '198.51.100.13'],
    ['two.one.corp.example', 'A', '198.51.100.14'],
    ['only.default.svc', 'A', '198.51.100.15'],
    ['text.corp.example', 'TXT', '"no address"'],
    ['alias.corp.example', 'CNAME', 'web.default.svc.cluster.local.'],
  ],
};

const SERVICES = [
  ...['kubernetes', 'web', 'web6', 'dual', 'db', 'external', 'outside', 'info', 'a', 'b', 'twice', 'nowhere'],
  ...['chain-1', 'chain-2', 'many6', 'upper', 'absent', 'under_score', '1a', 'xn--bcher-kva'],
];

/** As people write names of Services: from the shortest form on, with and without a dot at the end, in capital letters. */
const OF_SERVICES = SERVICES.flatMap(name => [
  name,
  `${name}.`,
  `${name}.default`,
  `${name}.default.svc`,
  `${name}.default.svc.cluster.local`,
  `${name}.default.svc.cluster.local.`,
  `${name.toUpperCase()}.Default`,
]);

const OTHERS = [
  ...[
    'db-0.db',
    'db-0.db.default',
    'db-2.db.default.svc.cluster.local',
    'db-3.db',
    'a.b',
    'b.kube-system',
    'a.b.default',
  ],
  ...[
    'short',
    'shortest',
    'shortest.',
    'short.svc',
    'default',
    'svc',
    'cluster',
    'local',
    'cluster.local',
    'default.svc',
  ],
  ...['x.wild', 'x.y.wild', 'wild', 'x.wild.default.svc.cluster.local.', 'loop-1', 'loop-2.default'],
  ...['info.kube-system', 'api.payments', 'api.payments.svc', 'kube-dns.kube-system', '_http._tcp.web.default'],
  ...['example.com', 'example.com.', 'EXAMPLE.com', 'www.example.com', 'nothing.example.com', 'com', 'com.'],
  ...['one', 'two.one', 'one.corp', 'one.corp.example', 'alias.corp.example', 'alias', 'text', 'text.corp.example'],
  ...['only.default.svc', 'only.default.svc.', 'legacy.corp.example', 'loopback.example', 'metadata.example'],
  ...[
    FAILING_ZONE,
    `x.${FAILING_ZONE}`,
    `x.${FAILING_ZONE}.`,
    REFUSED_ZONE,
    `x.${REFUSED_ZONE}`,
    `x.y.z.${REFUSED_ZONE}`,
  ],
  ...['localhost', 'LOCALHOST', 'listed', 'listed.hosts.example', 'Listed.Hosts.Example', 'hosts.example'],
  ...[LABEL_63, `${LABEL_63}x`, `${LABEL_63}.default.svc`, [LABEL_63, LABEL_63, LABEL_63].join('.')],
  ...[[LABEL_63, LABEL_63, LABEL_63, 'y'.repeat(61)].join('.'), `${'n.'.repeat(110)}absent`],
  ...[
    'web..default',
    '.web',
    'web.default..',
    '..',
    '.',
    '-',
    '-web',
    'web-',
    '_',
    'a.b.c.d.e',
    'a.b.c.d.e.f',
    '7.default',
  ],
  ...['10.96.0.20', '::1', 'fd00:10:96::20', '10.96.0.20.', 'fd00:10:96::20.', '256.1.1.1', '10.96.0.20.default'],
];

export const NAMES: readonly string[] = [...new Set([...OF_SERVICES, ...OTHERS])];

const DNS = `nameserver ${DNS_ADDRESS}`;
const [SAME_DNS, FAILING_DNS] = DNS_POD_ADDRESSES.map(address => `nameserver ${address}`) as [string, string];
const POD_SEARCH = 'search default.svc.cluster.local svc.cluster.local cluster.local';

export const RESOLV_CONFS: Readonly<Record<string, readonly string[]>> = {
  'a pod': [POD_SEARCH, DNS, 'options ndots:5'],
  'a pod of another namespace, on a cloud machine': [
    'search kube-system.svc.cluster.local svc.cluster.local cluster.local corp.example',
    DNS,
    'options ndots:5 single-request-reopen',
  ],
  'ndots:1': [POD_SEARCH, DNS, 'options ndots:1'],
  'ndots:2': [POD_SEARCH, DNS, 'options ndots:2 edns0'],
  'ndots:0': [POD_SEARCH, DNS, 'options ndots:0'],
  'no search list': [DNS, 'options ndots:3', 'search .'],
  'the root amid the search list': ['search default.svc.cluster.local . svc.cluster.local', DNS, 'options ndots:3'],
  'a domain': [DNS, 'domain default.svc.cluster.local.'],
  'a search list with a domain that fails': [
    `search absent.example ${FAILING_ZONE} default.svc.cluster.local ${REFUSED_ZONE}`,
    DNS,
    'options ndots:3 attempts:1',
  ],
  'a first server that fails': [POD_SEARCH, FAILING_DNS, DNS, 'options ndots:5'],
  'no server that does not fail': [POD_SEARCH, FAILING_DNS, 'options ndots:2'],
  'two servers in turn, a long list': [
    'search a.example b.example c.example d.example e.example f.example g.example cluster.local svc.cluster.local',
    DNS,
    SAME_DNS,
    'options ndots:4 rotate',
  ],
};
