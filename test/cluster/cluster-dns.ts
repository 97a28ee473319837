import { join } from 'node:path';
import { pathOf } from '../support/programs.ts';

/** The Service of CoreDNS. */
export const DNS_ADDRESS = '10.96.0.10';

/** What the kubelet writes for a pod of the namespace "default". */
export const POD_RESOLV_CONF = [
  'search default.svc.cluster.local svc.cluster.local cluster.local',
  `nameserver ${DNS_ADDRESS}`,
  'options ndots:5',
  '',
].join('\n');

/** kubeadm's TTL, in seconds. */
const TTL = 30;

/** The addresses of its pod: at the second it fails whatever it is asked. */
export const DNS_POD_ADDRESSES = ['10.244.0.53', '10.244.0.54'] as const;

/** For which CoreDNS says SERVFAIL, and REFUSED. */
export const FAILING_ZONE = 'servfail.example';
export const REFUSED_ZONE = 'refused.example';

/** Records of a zone, as in its file: name, type, data. */
export type Records = readonly (readonly [name: string, type: string, data: string])[];

export interface Zones {
  /** Names relative to cluster.local. */
  readonly cluster: Records;
  /** All other names that there are, relative to the root: CoreDNS stands for the DNS that it would forward to. */
  readonly world: Records;
}

/** The files of CoreDNS, by name, for a directory that it can read. */
export function dnsFiles(directory: string, { cluster, world }: Zones): Record<string, string> {
  return {
    Corefile: corefile(directory),
    'cluster.zone': zone('cluster.local.', cluster),
    'world.zone': zone('.', world),
  };
}

export function dnsCommand(directory: string): [string, ...string[]] {
  return [pathOf('coredns'), '-conf', join(directory, 'Corefile')];
}

/** As kubeadm has it, but with the records in files. Every question is logged. */
function corefile(directory: string): string {
  const template = (domain: string, rcode: string) => `template ANY ANY ${domain} {\n    rcode ${rcode}\n  }`;
  const [serving, failing] = DNS_POD_ADDRESSES;
  return `.:53 {
  bind ${serving}
  errors
  log . "{name} {type} {proto} {rcode}"
  root ${directory}
  ${template(FAILING_ZONE, 'SERVFAIL')}
  ${template(REFUSED_ZONE, 'REFUSED')}
  file cluster.zone cluster.local
  file world.zone .
}
.:53 {
  bind ${failing}
  ${template('.', 'SERVFAIL')}
}
`;
}

function zone(origin: string, records: Records): string {
  return [
    `$ORIGIN ${origin}`,
    `$TTL ${TTL}`,
    `@ IN SOA ns hostmaster 1 7200 1800 86400 ${TTL}`,
    '@ IN NS ns',
    `ns IN A ${DNS_ADDRESS}`,
    ...records.map(([name, type, data]) => `${name} IN ${type} ${data}`),
    '',
  ].join('\n');
}
