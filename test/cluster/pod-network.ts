import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createNamespace, type Namespace, namespaceObstacle } from '../support/network-namespaces.ts';
import type { ProgramRun, Ready } from '../support/program-run.ts';
import { pathOf } from '../support/programs.ts';
import { runCommand } from '../support/run-command.ts';
import { removeLeftovers } from './leftovers.ts';
import { connectMachine, type Machine } from './machines.ts';
import { type Mounts, withMounts } from './mounts.ts';

/*
 *  laptop ═ veth ═ node (router, kube-proxy) ═ veth ═ pod
 *                                            ═ veth ═ pod
 *                                            ⋮
 *
 * Each is a network namespace. A pod hangs on the node by a veth pair of its own and a host route, as kindnet and Calico do
 * it: so every packet between pods is routed by the node, and its translation undone on the way back. Other machines hang on
 * the laptop by links of their own, and know nothing of the node: see machines.ts.
 */
export const NODE_ADDRESS = '192.0.2.1';
export const LAPTOP_ADDRESS = '192.0.2.2';
const [NODE_ADDRESS_6, LAPTOP_ADDRESS_6] = ['2001:db8::1', '2001:db8::2'];
const POD_GATEWAY = '10.244.255.254';
const POD_GATEWAY_6 = 'fe80::1';
/** The node's end of the link to the laptop. */
export const LAPTOP_LINK = 'laptop';

/** A namespace with files of its own in place of those of the machine. */
export interface Host {
  readonly namespace: Namespace;
  readonly mounts: Mounts;
  start(title: string, command: readonly [string, ...string[]], ready: number | Ready): Promise<ProgramRun>;
  /** Runs a program to its end, and returns its stdout. */
  run(command: readonly [string, ...string[]]): Promise<Buffer>;
}

export interface Pod extends Host {
  readonly name: string;
  /** The first is the one that it sends from. */
  readonly addresses: readonly string[];
  /** Sends a signal to all that runs in it. */
  signal(signal: 'SIGSTOP' | 'SIGCONT' | 'SIGKILL'): void;
  /** As the kubelet does it first: SIGTERM, to the process that the container was started with. */
  terminate(): void;
  /** How many processes run in it. */
  processes(): number;
  /** TCP connections to a port of it that something is still to come over. */
  connections(port: number): Promise<number>;
  /** From now on whatever is sent to it or by it is lost, without a word. */
  isolate(): void;
}

export interface PodNetwork {
  readonly node: Namespace;
  readonly laptop: Host;
  addPod(name: string, addresses: readonly string[], mounts?: Mounts): Pod;
  addMachine(machine: Machine, mounts?: Mounts): Host;
  remove(): void;
}

/** Why there can be none on this machine. */
export function podNetworkObstacle(): string | undefined {
  const obstacle = namespaceObstacle();
  if (obstacle !== undefined) return obstacle;
  const probe = spawnSync('unshare', ['--mount', 'setpriv', '--pdeathsig', 'KILL', 'mount', '--version']);
  return probe.status === 0 ? undefined : 'no mount namespaces with unshare, setpriv and mount (util-linux) here';
}

export function createPodNetwork(laptopMounts: Mounts): PodNetwork {
  removeLeftovers();
  const namespaces: Namespace[] = [];
  const create = (role: string): Namespace => {
    const namespace = createNamespace(role);
    namespaces.push(namespace);
    // Addresses that links give themselves can be used at once, as those can that are given as "nodad".
    setKernel(namespace, 'net/ipv6/conf/all/accept_dad', 0);
    setKernel(namespace, 'net/ipv6/conf/default/accept_dad', 0);
    namespace.ip('link', 'set', 'lo', 'up');
    return namespace;
  };
  const remove = () => {
    for (const namespace of namespaces.splice(0)) namespace.remove();
  };
  try {
    const node = create('node');
    setKernel(node, 'net/ipv4/ip_forward', 1);
    setKernel(node, 'net/ipv6/conf/all/forwarding', 1);
    const laptop = create('laptop');
    connectLaptop(node, laptop);
    return {
      node,
      laptop: hostIn(laptop, laptopMounts),
      addPod(name, addresses, mounts = []) {
        const namespace = create(name);
        const link = `pod${namespaces.length}`;
        connectPod(node, namespace, link, addresses);
        return podIn(namespace, mounts, { name, addresses, isolate: () => isolatePod(node, link, addresses) });
      },
      addMachine(machine, mounts = []) {
        const namespace = create(machine.name);
        connectMachine(laptop, namespace, machine);
        return hostIn(namespace, mounts);
      },
      remove,
    };
  } catch (error) {
    remove();
    throw error;
  }
}

function connectLaptop(node: Namespace, laptop: Namespace): void {
  node.ip('link', 'add', LAPTOP_LINK, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', laptop.name);
  for (const [{ ip }, link, own, own6, other, other6] of [
    [node, LAPTOP_LINK, NODE_ADDRESS, NODE_ADDRESS_6],
    [laptop, 'eth0', LAPTOP_ADDRESS, LAPTOP_ADDRESS_6, NODE_ADDRESS, NODE_ADDRESS_6],
  ] as const) {
    ip('address', 'add', `${own}/30`, 'dev', link);
    ip('address', 'add', `${own6}/64`, 'dev', link, 'nodad');
    ip('link', 'set', link, 'up');
    // The laptop does not lack a route to the cluster: it is the node that lets nothing through.
    if (other) ip('route', 'add', 'default', 'via', other);
    if (other6) ip('route', 'add', 'default', 'via', other6);
  }
}

function connectPod(node: Namespace, pod: Namespace, link: string, addresses: readonly string[]): void {
  node.ip('link', 'add', link, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', pod.name);
  node.ip('address', 'add', `${POD_GATEWAY}/32`, 'dev', link);
  node.ip('address', 'add', `${POD_GATEWAY_6}/64`, 'dev', link, 'nodad');
  node.ip('link', 'set', link, 'up');
  for (const address of addresses) {
    pod.ip('address', 'add', hostRoute(address), 'dev', 'eth0', ...(address.includes(':') ? ['nodad'] : []));
  }
  pod.ip('link', 'set', 'eth0', 'up');
  pod.ip('route', 'add', POD_GATEWAY, 'dev', 'eth0');
  pod.ip('route', 'add', 'default', 'via', POD_GATEWAY, 'src', addresses[0]!);
  const ipv6 = addresses.find(address => address.includes(':'));
  if (ipv6 !== undefined) pod.ip('route', 'add', 'default', 'via', POD_GATEWAY_6, 'dev', 'eth0', 'src', ipv6);
  for (const address of addresses) node.ip('route', 'add', hostRoute(address), 'dev', link);
}

function isolatePod(node: Namespace, link: string, addresses: readonly string[]): void {
  for (const address of addresses) node.ip('route', 'replace', 'blackhole', hostRoute(address));
  node.ip('link', 'del', link);
}

function hostRoute(address: string): string {
  return `${address}/${address.includes(':') ? 128 : 32}`;
}

export function hostIn(namespace: Namespace, mounts: Mounts): Host {
  const command = (inner: readonly [string, ...string[]]) => withMounts(mounts, inner);
  return {
    namespace,
    mounts,
    start: (title, inner, ready) => namespace.start(title, command(inner), ready),
    run(inner) {
      const [program, ...args] = namespace.within(command(inner));
      return runCommand(program, args);
    },
  };
}

function podIn(
  namespace: Namespace,
  mounts: Mounts,
  { name, addresses, isolate }: Pick<Pod, 'name' | 'addresses' | 'isolate'>,
): Pod {
  const pids = () => {
    const { stdout } = spawnSync(pathOf('ip'), ['netns', 'pids', namespace.name], { encoding: 'utf8' });
    return stdout.split('\n').filter(Boolean).map(Number);
  };
  return {
    ...hostIn(namespace, mounts),
    name,
    addresses,
    signal(signal) {
      for (const pid of pids()) process.kill(pid, signal);
    },
    terminate() {
      const running = pids();
      for (const pid of running.filter(pid => !running.includes(parentOf(pid)))) process.kill(pid, 'SIGTERM');
    },
    processes: () => pids().length,
    async connections(port) {
      const [pid] = pids();
      return pid === undefined ? 0 : countConnections(pid, port);
    },
    isolate,
  };
}

function parentOf(pid: number): number {
  // The name of the program, which is in brackets, may hold anything.
  return Number(
    readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) \S /s, '')
      .split(' ', 1)[0],
  );
}

/** Of what /proc calls the states of a TCP socket, those in which the other end has been told all: FIN_WAIT2, TIME_WAIT, LISTEN. */
const IDLE_STATES = ['05', '06', '0A'];

async function countConnections(pid: number, port: number): Promise<number> {
  const tables = await Promise.all(['tcp', 'tcp6'].map(name => readFile(`/proc/${pid}/net/${name}`, 'ascii')));
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return tables
    .join('\n')
    .split('\n')
    .filter(line => {
      const [, local, , state] = line.trim().split(/\s+/);
      return local?.endsWith(suffix) && !IDLE_STATES.includes(state!);
    }).length;
}

function setKernel(namespace: Namespace, name: string, value: number): void {
  const [command, ...args] = namespace.within(['sh', '-c', `echo ${value} >/proc/sys/${name}`]);
  const { status, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${name} of ${namespace.name}: ${stderr.trim()}`);
}
