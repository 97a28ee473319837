import { fileURLToPath } from 'node:url';
import type { Cluster } from './cluster.ts';
import { INTERNET } from './machines.ts';
import type { Host } from './pod-network.ts';

const HTTP_POD = fileURLToPath(new URL('programs/http-pod.mjs', import.meta.url));

/** What its web server answers with, and who asks for it if that is the laptop. */
export const PUBLIC_ANSWER = 'public';
export const [FROM_LAPTOP, FROM_LAPTOP6] = INTERNET.networks.map(({ laptop }) => `${PUBLIC_ANSWER} from ${laptop}`) as [
  string,
  string,
];

/** A host on the internet, with a web server at port 80, which the laptop reaches and the cluster does not. */
export async function startInternet(cluster: Cluster): Promise<Host> {
  const host = cluster.addMachine(INTERNET);
  await startWebServer(cluster, host, PUBLIC_ANSWER, 80);
  return host;
}

/** A web server on all addresses of a host. */
export function startWebServer({ start, path }: Cluster, host: Host, name: string, port: number): Promise<unknown> {
  return start(host, name, [process.execPath, HTTP_POD, name, `${port}`, path('file')], port);
}
