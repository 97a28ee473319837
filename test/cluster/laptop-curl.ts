import { pathOf } from '../support/programs.ts';
import { type Cluster, SOCKS_PORT } from './cluster.ts';

const COMMON = ['-q', '--silent', '--show-error', '--fail'];
const PROXY = ['--proxy', `socks5h://127.0.0.1:${SOCKS_PORT}`];

/** What curl fetches on the laptop through ss-local. If it fails, the error tells what all programs have logged. */
export async function fetchThrough(cluster: Cluster, url: string, ...options: string[]): Promise<Buffer> {
  try {
    const command = [pathOf('curl'), ...COMMON, ...PROXY, '--max-time', '30', '--globoff', ...options, url] as const;
    return await cluster.laptop.run([...command]);
  } catch (error) {
    (error as Error).message += cluster.logs();
    throw error;
  }
}

/** The same without a proxy, given up soon. */
export function fetchDirectly({ laptop }: Cluster, url: string): Promise<Buffer> {
  return laptop.run([pathOf('curl'), ...COMMON, '--noproxy', '*', '--max-time', '3', '--globoff', url]);
}

export interface RequestRun {
  readonly host: string;
  readonly count: number;
  /** At a time, each on a connection of its own. */
  readonly parallel: number;
  /** How long the pod takes to answer each, in milliseconds. */
  readonly delay: number;
}

/** One request after the other through ss-local, each given up after five seconds. @returns what became of those that failed. */
export async function requestFailures({ laptop }: Cluster, run: RequestRun): Promise<string[]> {
  const { host, count, parallel, delay } = run;
  const inParallel = ['--parallel', '--parallel-immediate', '--parallel-max', `${parallel}`, '--max-time', '5'];
  const report = ['--output', '/dev/null', '--write-out', '%{http_code} %{exitcode} %{errormsg}\\n'];
  const url = `http://${host}/[1-${count}]?delay=${delay}`;
  const curl = [pathOf('curl'), ...COMMON, ...PROXY, ...inParallel, ...report, url];
  // It ends with the error of one of them.
  const lines = String(await laptop.run(['sh', '-c', '"$@" || true', 'sh', ...curl])).split('\n');
  const answered = lines.filter(line => line.startsWith('200 0 ')).length;
  const failures = lines.filter(line => line !== '' && !line.startsWith('200 0 '));
  if (answered + failures.length !== count) throw new Error(`curl reports on ${lines.length - 1} of ${count} requests`);
  return failures;
}
