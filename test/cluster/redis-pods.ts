import { mkdir } from 'node:fs/promises';
import { expect } from 'vitest';
import { pathOf } from '../support/programs.ts';
import type { Cluster, RunningPod } from './cluster.ts';
import type { Zones } from './cluster-dns.ts';
import type { Pod } from './pod-network.ts';

export const REDIS_PORT = 6379;
const MASTERS = 3;
const REPLICAS_EACH = 1;
const ORDINALS = Array.from({ length: MASTERS * (1 + REPLICAS_EACH) }, (_, ordinal) => ordinal);

/** Of the StatefulSet `redis`, as they call themselves. */
export const REDIS_NODES = ORDINALS.map(ordinal => `redis-${ordinal}.redis.default.svc.cluster.local`);
/** Until one of them fails. */
export const REDIS_MASTERS = REDIS_NODES.slice(0, MASTERS);
/** A key in a slot of each. */
export const KEYS_OF_MASTERS = ['b', 'c', 'a'] as const;

function addressOf(ordinal: number): string {
  return `10.244.3.${10 + ordinal}`;
}

/** Of the first, from a zone that is not the cluster's. */
export const REDIS_ALIAS = 'redis.corp.example';

export const REDIS_ZONES: Zones = {
  cluster: ORDINALS.map(ordinal => [`redis-${ordinal}.redis.default.svc`, 'A', addressOf(ordinal)]),
  world: [[REDIS_ALIAS, 'A', addressOf(0)]],
};

export interface RedisNode extends RunningPod {
  /** That it announces. */
  readonly hostname: string;
}

/** Nodes that hand out their names, and never an address: three with a third of the slots each, and a replica for each. */
export async function startRedisCluster(cluster: Cluster): Promise<readonly RedisNode[]> {
  const pods = ORDINALS.map(ordinal => cluster.addPod(`redis-${ordinal}`, [addressOf(ordinal)]));
  const nodes = await Promise.all(pods.map((pod, ordinal) => startNode(cluster, pod, REDIS_NODES[ordinal]!)));
  const addresses = pods.map(pod => `${pod.addresses[0]}:${REDIS_PORT}`);
  const shape = ['--cluster-replicas', `${REPLICAS_EACH}`, '--cluster-yes'];
  await pods[0]!.run([pathOf('redis-cli'), '--cluster', 'create', ...addresses, ...shape]);
  await Promise.all(nodes.map(untilAllAreKnown));
  return nodes;
}

async function startNode({ path, start }: Cluster, pod: Pod, hostname: string): Promise<RedisNode> {
  const directory = path(pod.name);
  await mkdir(directory);
  const settings = {
    ...{ port: `${REDIS_PORT}`, bind: '*', 'protected-mode': 'no', dir: directory, save: '', daemonize: 'no' },
    ...{ 'cluster-enabled': 'yes', 'cluster-node-timeout': `${NODE_TIMEOUT_MS}` },
    ...{ 'cluster-announce-hostname': hostname, 'cluster-preferred-endpoint-type': 'hostname' },
    // When a third of the slots is missing, the others go on.
    'cluster-require-full-coverage': 'no',
    ...{ 'repl-diskless-sync-delay': '0', 'repl-ping-replica-period': '1' },
  };
  const flags = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
  const program = await start(pod, pod.name, [pathOf('redis-server'), ...flags], REDIS_PORT);
  return { ...pod, program, hostname };
}

/** After which a node counts as failed, and a replica takes its place. */
const NODE_TIMEOUT_MS = 3_000;

/** As in `CLUSTER SLOTS`: the first and the last one, the master, its replicas. */
type Slots = readonly [
  from: number,
  to: number,
  ...nodes: (readonly [name: string | null, port: number, ...unknown[]])[],
];

async function slotsKnownTo(node: Pod): Promise<readonly Slots[]> {
  return JSON.parse(String(await node.run([pathOf('redis-cli'), '--json', 'CLUSTER', 'SLOTS'])));
}

/** Names spread by and by, and a replica counts only once it has what its master has. */
async function untilAllAreKnown(node: RedisNode): Promise<void> {
  await expect
    .poll(async () => (await slotsKnownTo(node)).flatMap(([, , ...nodes]) => nodes.map(([name]) => name)).sort(), {
      timeout: 15_000,
    })
    .toEqual(REDIS_NODES);
}
