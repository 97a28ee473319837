import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DEFAULT_METHOD } from '@podsocks/shared/crypto/methods';
import { listensWithin } from '../support/network-namespaces.ts';
import type { ProgramRun, Ready } from '../support/program-run.ts';
import { PseudoRandom, sha256 } from '../support/pseudo-random.ts';
import { commandOf, passwordFor } from '../support/shadowsocks-ends.ts';
import { DNS_ADDRESS, DNS_POD_ADDRESSES, dnsCommand, dnsFiles, POD_RESOLV_CONF, type Zones } from './cluster-dns.ts';
import { type KubeProxy, SERVICE_NETWORKS, type ServicePort, startKubeProxy } from './kube-proxy.ts';
import { type Machine, PUBLIC_HOSTS } from './machines.ts';
import type { Mounts } from './mounts.ts';
import { createPodNetwork, type Host, NODE_ADDRESS, type Pod, type PodNetwork } from './pod-network.ts';

export const POD_NETWORKS = ['10.244.0.0/16', 'fd00:10:244::/64'] as const;
export const SOCKS_PORT = 1080;
export const NODE_PORT = 32088;
export const SERVER_PORT = 8388;
/** That of the pods' HTTP servers, which is not that of their Services. */
export const HTTP_PORT = 8080;
/** What their /file is. */
const FILE = new PseudoRandom('file').take(4 * 1024 * 1024);
export const FILE_SHA256 = sha256(FILE);

const DNS_SERVICE: readonly ServicePort[] = (['udp', 'tcp'] as const).map(protocol => {
  return { name: 'dns', clusterIp: DNS_ADDRESS, port: 53, protocol, targetPort: 53 };
});

/** Where ss-server is reached from outside, by both protocols. */
export const NODE_PORT_SERVICE: readonly ServicePort[] = (['tcp', 'udp'] as const).map(protocol => {
  const [port, targetPort, nodePort] = [SERVER_PORT, SERVER_PORT, NODE_PORT];
  return { name: 'ss-server', port, protocol, targetPort, nodePort };
});

export type Command = readonly [string, ...string[]];

export interface ClientOptions {
  /** Where it listens, if not at the usual port. */
  readonly port?: number;
  readonly flags?: readonly string[];
  /** Who runs it, if not the laptop with its usual files. */
  readonly on?: Host;
}

/** A pod with a program in it. */
export interface RunningPod extends Pod {
  readonly program: ProgramRun;
}

/** A Kubernetes cluster of one node, as far as a program in a pod can tell, and a laptop that reaches its node port only. */
export interface Cluster {
  readonly laptop: Host;
  readonly proxy: KubeProxy;
  readonly dns: RunningPod;
  /** The path of a file of the cluster's own. */
  path(name: string): string;
  /** With the resolv.conf that a pod has. */
  addPod(name: string, addresses: readonly string[]): Pod;
  startHttpPod(name: string, addresses: readonly string[], port?: number): Promise<RunningPod>;
  /** Its policy is that of the manifests: the cluster's networks and no others. */
  startServer(name: string, addresses: readonly string[]): Promise<RunningPod>;
  startClient(options?: ClientOptions): Promise<ProgramRun>;
  /** ss-local with what leads it to the node port, for flags or a subcommand behind it. */
  readonly clientCommand: Command;
  /** Another machine on the laptop's other links. */
  addMachine(machine: Machine): Host;
  /** Starts something that ends with the cluster, and whose log an error tells. */
  start(host: Host, title: string, command: Command, ready: number | Ready): Promise<ProgramRun>;
  /** Has CoreDNS run again after its end. */
  startDns(): Promise<RunningPod>;
  /** What an error has to tell. */
  logs(): string;
  close(): Promise<void>;
}

export async function startCluster(zones: Zones): Promise<Cluster> {
  const directory = await mkdtemp(join(tmpdir(), 'podsocks-cluster-'));
  const path = (name: string) => join(directory, name);
  const runs: ProgramRun[] = [];
  let network: PodNetwork | undefined;
  const close = async () => {
    await Promise.all(runs.map(run => run.stop()));
    network?.remove();
    await rm(directory, { recursive: true, force: true });
  };
  try {
    const files = { ...FILES, ...dnsFiles(directory, zones), file: FILE };
    await Promise.all(Object.entries(files).map(([name, content]) => writeFile(path(name), content)));
    network = createPodNetwork(mountsOf(path, 'laptop'));
    return await startIn({ network, path, runs }, close);
  } catch (error) {
    await close();
    throw error;
  }
}

interface Surroundings {
  readonly network: PodNetwork;
  readonly path: Cluster['path'];
  readonly runs: ProgramRun[];
}

async function startIn({ network, path, runs }: Surroundings, close: Cluster['close']): Promise<Cluster> {
  const { node, laptop } = network;
  const proxy = startKubeProxy(node);
  const start = async (host: Host, title: string, command: Command, ready: number | Ready) => {
    const program = await host.start(title, command, ready);
    runs.push(program);
    return program;
  };
  const addPod = (name: string, addresses: readonly string[]) => network.addPod(name, addresses, mountsOf(path, 'pod'));
  const startPod = async (pod: Pod, command: Command, ready: number | Ready): Promise<RunningPod> => {
    return { ...pod, program: await start(pod, pod.name, command, ready) };
  };

  const coredns = addPod('coredns', DNS_POD_ADDRESSES);
  const startDns = () => startPod(coredns, dnsCommand(path('.')), listensWithin(53, ['tcp', 'udp']));
  for (const service of DNS_SERVICE) proxy.addService(service, [DNS_POD_ADDRESSES[0]]);
  for (const service of NODE_PORT_SERVICE) proxy.addService(service, []);

  const secret = ['-k', passwordFor(DEFAULT_METHOD), '-m', DEFAULT_METHOD, '-u'];
  const to = ['-s', NODE_ADDRESS, '-p', `${NODE_PORT}`];
  const clientCommand: Command = [...commandOf('podsocks', 'client'), ...to, ...secret];
  return {
    laptop,
    proxy,
    dns: await startDns(),
    path,
    addPod,
    startHttpPod: (name, addresses, port = HTTP_PORT) =>
      startPod(addPod(name, addresses), [process.execPath, HTTP_POD, name, `${port}`, path('file')], port),
    startServer(name, addresses) {
      const allow = [...SERVICE_NETWORKS, ...POD_NETWORKS].flatMap(network => ['--allow', network]);
      const command: Command = [...commandOf('podsocks', 'server'), '-p', `${SERVER_PORT}`, ...secret, ...allow];
      return startPod(addPod(name, addresses), command, listensWithin(SERVER_PORT, ['tcp', 'udp']));
    },
    startClient({ port = SOCKS_PORT, flags = [], on = laptop } = {}) {
      return start(on, 'ss-local', [...clientCommand, '-l', `${port}`, ...flags], port);
    },
    clientCommand,
    addMachine: machine => network.addMachine(machine, mountsOf(path, 'laptop')),
    start,
    startDns,
    logs: () => runs.map(({ title, output }) => `\n--- ${title} wrote:\n${output() || '(nothing)\n'}`).join(''),
    close,
  };
}

const HTTP_POD = fileURLToPath(new URL('programs/http-pod.mjs', import.meta.url));

const LOCALHOST = '127.0.0.1 localhost\n::1 localhost ip6-localhost\n';

/** Nothing of this machine's is looked up in: what is not said here is not there. */
const FILES = {
  'pod-resolv.conf': POD_RESOLV_CONF,
  // It knows where the cluster's DNS is, and so whatever it does not find is kept from it by the node.
  'laptop-resolv.conf': `nameserver ${DNS_ADDRESS}\noptions timeout:1 attempts:1\n`,
  'pod-hosts': `${LOCALHOST}10.244.7.7 listed.hosts.example listed\n`,
  'laptop-hosts': `${LOCALHOST}${PUBLIC_HOSTS}`,
  'nsswitch.conf': 'hosts: files dns\n',
};

function mountsOf(path: Cluster['path'], of: 'pod' | 'laptop'): Mounts {
  return [
    { source: path(`${of}-resolv.conf`), target: '/etc/resolv.conf' },
    { source: path(`${of}-hosts`), target: '/etc/hosts' },
    { source: path('nsswitch.conf'), target: '/etc/nsswitch.conf' },
  ];
}
