import { type Cluster, NODE_PORT_SERVICE, type RunningPod, startCluster } from './cluster.ts';
import { ZONES } from './workloads.ts';

/** With ss-server behind the node port, and ss-local on the laptop. */
export interface TunnelledCluster extends Cluster {
  readonly servers: readonly RunningPod[];
}

export interface TunnelOptions {
  /** Of ss-server. */
  readonly replicas?: number;
  /** Flags of ss-local; undefined: it is not started. */
  readonly client?: readonly string[] | undefined;
}

/** Whatever a program asks for is up to ss-server. */
const ALL = ['--route', 'all'];

/** @param populate starts what else there is. */
export async function startTunnelledCluster(
  populate: (cluster: Cluster) => Promise<unknown>,
  options: TunnelOptions = {},
): Promise<TunnelledCluster> {
  const { replicas = 1, client } = { client: ALL, ...options };
  const cluster = await startCluster(ZONES);
  try {
    const starting = Array.from({ length: replicas }, (_, number) => startReplica(cluster, number));
    const [servers] = await Promise.all([Promise.all(starting), populate(cluster)]);
    cluster.proxy.setEndpoints(
      NODE_PORT_SERVICE,
      servers.map(({ addresses }) => addresses[0]!),
    );
    if (client !== undefined) await cluster.startClient({ flags: client });
    return { ...cluster, servers };
  } catch (error) {
    await cluster.close();
    throw error;
  }
}

/** Another pod of ss-server's Deployment, which is not behind the node port yet. */
export function startReplica({ startServer }: Cluster, number: number): Promise<RunningPod> {
  return startServer(`ss-server-${number}`, [`10.244.0.${100 + number}`, `fd00:10:244::${100 + number}`]);
}
