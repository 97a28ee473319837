import { expect } from 'vitest';
import type { ProgramRun } from '../support/program-run.ts';
import type { ClientOptions, Cluster } from './cluster.ts';
import { startInternet } from './internet.ts';
import type { Host } from './pod-network.ts';
import { startTunnelledCluster, type TunnelledCluster } from './tunnelled-cluster.ts';

/** A cluster, and a laptop that has the internet as well. */
export interface LaptopWithInternet extends TunnelledCluster {
  readonly internet: Host;
}

/** @param populate starts what is in the cluster, and what runs on the laptop. */
export async function startLaptop(
  populate: (started: LaptopWithInternet) => Promise<unknown>,
): Promise<LaptopWithInternet> {
  const cluster = await startTunnelledCluster(async () => {}, { client: undefined });
  try {
    const started = { ...cluster, internet: await startInternet(cluster) };
    await populate(started);
    return started;
  } catch (error) {
    await cluster.close();
    throw error;
  }
}

/** Starts ss-local, and waits until it has heard from ss-server what is the cluster's. */
export async function startInformedClient(cluster: Cluster, options: ClientOptions = {}): Promise<ProgramRun> {
  const client = await cluster.startClient(options);
  await expect.poll(client.output, { timeout: 10_000 }).toMatch(/✓ route +auto: cluster\.local/);
  return client;
}
