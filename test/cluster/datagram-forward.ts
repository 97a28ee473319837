import { fileURLToPath } from 'node:url';
import { listensWithin } from '../support/network-namespaces.ts';
import { pathOf } from '../support/programs.ts';
import { type Cluster, SOCKS_PORT } from './cluster.ts';
import type { Host } from './pod-network.ts';

const FORWARD = fileURLToPath(new URL('programs/datagram-forward.mjs', import.meta.url));

export interface DatagramFront {
  /** Of 127.0.0.1, on the host. */
  readonly port: number;
  /** Where it leads to, and the port there. */
  readonly target: string;
  readonly targetPort?: number;
  /** Through which proxy, if not the ss-local of the host itself. */
  readonly proxy?: string;
}

/** A UDP port of a host that leads to a target by SOCKS5 UDP ASSOCIATE. */
export async function startDatagramFront({ start }: Cluster, host: Host, front: DatagramFront): Promise<void> {
  const { port, target, targetPort = 53, proxy = `socks5://127.0.0.1:${SOCKS_PORT}` } = front;
  const command = [process.execPath, FORWARD, `${port}`, proxy, target, `${targetPort}`] as const;
  await start(host, `to ${target}`, command, listensWithin(port, ['udp']));
}

/** What dig is answered at a UDP port of its host, in order. */
export async function digAt(host: Host, port: number, ...question: readonly string[]): Promise<string> {
  const options = ['+short', '+notcp', '+ignore', '-p', `${port}`, '@127.0.0.1'];
  const said = String(await host.run([pathOf('dig'), ...options, ...question]));
  return said.trim().split('\n').sort().join('\n');
}
