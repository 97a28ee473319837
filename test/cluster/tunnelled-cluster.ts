import { type Cluster, NODE_PORT_SERVICE, type RunningPod, startCluster } from './cluster.ts';
import { ZONES } from './workloads.ts';

/** With ss-server behind the node port, and ss-local on the laptop. */
export interface TunnelledCluster extends Cluster {
  readonly servers: readonly RunningPod[];
}

/** @param populate starts what else there is. */
export async function startTunnelledCluster(
  populate: (cluster: Cluster) => Promise<unknown>,
  replicas = 1,
): Promise<TunnelledCluster> {
  const cluster = await startCluster(ZONES);
  try {
    const starting = Array.from({ length: replicas }, (_, number) => startReplica(cluster, number));
    const [servers] = await Promise.all([Promise.all(starting), populate(cluster)]);
    cluster.proxy.setEndpoints(
      NODE_PORT_SERVICE,
      servers.map(({ addresses }) => addresses[0]!),
    );
    await cluster.startClient();
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
