import { spawnSync } from 'node:child_process';
import { isIPv6 } from 'node:net';
import type { Namespace } from '../support/network-namespaces.ts';
import { pathOf } from '../support/programs.ts';
import { LAPTOP_LINK, NODE_ADDRESS } from './pod-network.ts';

export const SERVICE_NETWORKS = ['10.96.0.0/12', 'fd00:10:96::/112'] as const;

/** One port of a Service. */
export interface ServicePort {
  readonly name: string;
  readonly clusterIp?: string;
  readonly port: number;
  readonly protocol: 'tcp' | 'udp';
  readonly targetPort: number;
  readonly nodePort?: number;
}

/** What kube-proxy does on a node, in its mode "nftables". */
export interface KubeProxy {
  addService(service: ServicePort, endpoints: readonly string[]): void;
  /** All at once. New connections go to these only; those that are there stay where they are. */
  setEndpoints(services: readonly ServicePort[], endpoints: readonly string[]): void;
  /** Others' rules on the node. */
  nft(rules: string): void;
}

/*
 * Connection tracking keeps an established connection on its endpoint whatever becomes of the rules. What is for the address
 * of a Service without endpoints is refused. Traffic that came in at a node port leaves with the node's own address.
 */
const TABLE = `
table inet kube-proxy {
  chain services {
  }
  chain prerouting {
    type nat hook prerouting priority dstnat; policy accept;
    jump services
  }
  chain output {
    type nat hook output priority -100; policy accept;
    jump services
  }
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    iifname "${LAPTOP_LINK}" masquerade
  }
  chain no-endpoints {
    type filter hook prerouting priority dstnat + 10; policy accept;
    ip daddr ${SERVICE_NETWORKS[0]} reject with icmpx type port-unreachable
    ip6 daddr ${SERVICE_NETWORKS[1]} reject with icmpx type port-unreachable
  }
  chain forward {
    type filter hook forward priority filter; policy accept;
    iifname "${LAPTOP_LINK}" ct original ip daddr ${NODE_ADDRESS} ct status dnat accept
    iifname "${LAPTOP_LINK}" meta l4proto tcp reject with tcp reset
    iifname "${LAPTOP_LINK}" reject with icmpx type port-unreachable
  }
  chain input {
    type filter hook input priority filter; policy accept;
    iifname "${LAPTOP_LINK}" meta l4proto tcp reject with tcp reset
    iifname "${LAPTOP_LINK}" meta l4proto udp reject with icmpx type port-unreachable
  }
}
`;

export function startKubeProxy(node: Namespace): KubeProxy {
  nft(node, TABLE);
  return {
    addService(service, endpoints) {
      const { clusterIp, port, protocol, nodePort } = service;
      const chain = chainOf(service);
      const lines = [`add chain inet kube-proxy ${chain}`];
      const goto = (address: string, number: number) =>
        `add rule inet kube-proxy services ${family(address)} daddr ${address} ${protocol} dport ${number} goto ${chain}`;
      if (clusterIp !== undefined) lines.push(goto(clusterIp, port));
      if (nodePort !== undefined) lines.push(goto(NODE_ADDRESS, nodePort));
      nft(node, [...lines, ...endpointRules(service, endpoints)].join('\n'));
    },
    setEndpoints(services, endpoints) {
      nft(node, services.flatMap(service => endpointRules(service, endpoints)).join('\n'));
    },
    nft: rules => nft(node, rules),
  };
}

function endpointRules(service: ServicePort, endpoints: readonly string[]): string[] {
  const chain = chainOf(service);
  const flush = `flush chain inet kube-proxy ${chain}`;
  const [first] = endpoints;
  if (first === undefined) return [flush];
  const { protocol, targetPort } = service;
  const map = endpoints.map((endpoint, index) => `${index} : ${endpoint}`).join(', ');
  const chosen = `numgen random mod ${endpoints.length} map { ${map} }`;
  return [
    flush,
    `add rule inet kube-proxy ${chain} meta l4proto ${protocol} dnat ${family(first)} to ${chosen} : ${targetPort}`,
  ];
}

function chainOf({ name, protocol, port }: ServicePort): string {
  return `service-${name}-${protocol}-${port}`;
}

function family(address: string): 'ip' | 'ip6' {
  return isIPv6(address) ? 'ip6' : 'ip';
}

function nft(node: Namespace, rules: string): void {
  const [command, ...args] = node.within([pathOf('nft'), '-f', '-']);
  const { status, stderr, error } = spawnSync(command, args, { input: `${rules}\n`, encoding: 'utf8' });
  if (status !== 0) throw new Error(`nft: ${error?.message ?? stderr.trim()}`);
}
