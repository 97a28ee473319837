import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { ServerConfig } from '@podsocks/server/config';
import type { DatagramCounts, DropReason } from '@podsocks/shared/net/datagram-counts';
import { onTestFinished } from 'vitest';
import { ALLOW_LOOPBACK } from '../../support/allow-loopback.ts';
import { type Attackable, COMMON, freshKeys, LOOPBACK, type Scheme } from './ends.ts';

/** What the process uses right after a garbage collection, in bytes. */
export interface Usage {
  readonly rss: number;
  readonly arrayBuffers: number;
  readonly heapUsed: number;
  /** Open ones. */
  readonly descriptors: number;
}

/**
 * An ss-server under attack, in a process of its own. It never has workers: the memory and the descriptors of one process
 * are what is tested.
 */
export interface ServerProcess extends Attackable {
  /** Rejects when the process has ended, or has no descriptor left to look with. */
  usage(): Promise<Usage>;
  /** Datagrams that went no further, by reason, since the start. Rejects when the process has ended. */
  drops(): Promise<Readonly<Partial<Record<DropReason, number>>>>;
}

const CHILD = fileURLToPath(new URL('./server-child.js', import.meta.url));

/** @param limit.descriptors how many the process may have open. */
export async function startServerProcess(
  scheme: Scheme,
  settings: Partial<ServerConfig>,
  limit: { readonly descriptors?: number } = {},
): Promise<ServerProcess> {
  const { descriptors = 'unlimited' } = limit;
  const command = descriptors === 'unlimited' ? 'exec "$@"' : `ulimit -n ${descriptors} && exec "$@"`;
  const child = spawn('bash', ['-c', command, 'bash', process.execPath, '--expose-gc', CHILD], {
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    serialization: 'advanced',
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  let output = '';
  child.stderr!.setEncoding('utf8').on('data', text => {
    output = (output + text).slice(-4_096);
  });

  const ask = async (question: object): Promise<unknown> => {
    const gone = new AbortController();
    const fail = () => gone.abort(new Error(`the server process has ended, and wrote:\n${output}`));
    child.once('close', fail);
    try {
      if (child.exitCode !== null || child.signalCode !== null) fail();
      const answer = once(child, 'message', { signal: gone.signal });
      child.send(question);
      return (await answer)[0];
    } catch (error) {
      throw gone.signal.aborted ? gone.signal.reason : error;
    } finally {
      child.off('close', fail);
    }
  };

  const keys = freshKeys(scheme);
  const own = {
    listen: LOOPBACK,
    method: scheme.method,
    workers: 1,
    udpTimeout: 300_000,
    policy: ALLOW_LOOPBACK,
    ...keys.server,
  };
  const config: ServerConfig = { ...COMMON, ...own, ...settings };
  const { port } = (await ask(config)) as { port: number };
  return {
    scheme,
    keys,
    port,
    usage: () => ask({ about: 'usage' }) as Promise<Usage>,
    drops: () => ask({ about: 'drops' }) as Promise<DatagramCounts['drops']>,
  };
}
