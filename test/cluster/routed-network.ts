import { spawnSync } from 'node:child_process';
import { createNamespace, type Namespace } from '../support/network-namespaces.ts';
import { pathOf } from '../support/programs.ts';
import { removeLeftovers } from './leftovers.ts';
import { type Host, hostIn } from './pod-network.ts';

/** A network of its own behind the router, with one machine in it. */
export interface Leaf extends Host {
  readonly address: string;
  /** From now on whatever is sent to it or by it is lost at the router, without a word. */
  drop(): void;
  /** The end of that. */
  pass(): void;
  /** Its address goes, and it gets another one of the same network. */
  readdress(): void;
}

/** Networks that a router connects, each a network namespace. Nobody translates addresses. */
export interface RoutedNetwork {
  /** @param role says what it is, and no other one is. */
  addLeaf(role: string): Leaf;
  remove(): void;
}

/** Whose packets are lost. */
const TABLE = `
table inet black-hole {
  set lost {
    type ipv4_addr
  }
  chain forward {
    type filter hook forward priority filter; policy accept;
    ip daddr @lost drop
    ip saddr @lost drop
  }
}
`;

export function createRoutedNetwork(): RoutedNetwork {
  removeLeftovers();
  const namespaces: Namespace[] = [];
  const create = (role: string): Namespace => {
    const namespace = createNamespace(role);
    namespaces.push(namespace);
    namespace.ip('link', 'set', 'lo', 'up');
    return namespace;
  };
  const remove = () => {
    for (const namespace of namespaces.splice(0)) namespace.remove();
  };
  try {
    const router = create('router');
    runWithin(router, ['sh', '-c', 'echo 1 >/proc/sys/net/ipv4/ip_forward']);
    runWithin(router, [pathOf('nft'), '-f', '-'], TABLE);
    return {
      addLeaf: role => connectLeaf(router, create(role), namespaces.length),
      remove,
    };
  } catch (error) {
    remove();
    throw error;
  }
}

/** @param number of its network, 1 to 255. */
function connectLeaf(router: Namespace, namespace: Namespace, number: number): Leaf {
  const [gateway, address, other] = [1, 2, 3].map(host => `10.0.${number}.${host}`) as [string, string, string];
  const link = `leaf${number}`;
  router.ip('link', 'add', link, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', namespace.name);
  router.ip('address', 'add', `${gateway}/24`, 'dev', link);
  router.ip('link', 'set', link, 'up');
  namespace.ip('link', 'set', 'eth0', 'up');
  const take = (own: string) => {
    namespace.ip('address', 'add', `${own}/24`, 'dev', 'eth0');
    namespace.ip('route', 'add', 'default', 'via', gateway); // it goes with the last address
  };
  take(address);
  const change = (what: 'add' | 'delete') =>
    runWithin(router, [pathOf('nft'), what, 'element', 'inet', 'black-hole', 'lost', `{ ${address} }`]);
  return {
    ...hostIn(namespace, []),
    address,
    drop: () => change('add'),
    pass: () => change('delete'),
    readdress() {
      namespace.ip('address', 'del', `${address}/24`, 'dev', 'eth0');
      take(other);
    },
  };
}

function runWithin(namespace: Namespace, inner: readonly [string, ...string[]], input = ''): void {
  const [command, ...args] = namespace.within(inner);
  const { status, stderr } = spawnSync(command, args, { encoding: 'utf8', input });
  if (status !== 0) throw new Error(`${inner.join(' ')}: ${stderr.trim()}`);
}
