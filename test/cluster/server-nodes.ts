import { fileURLToPath } from 'node:url';
import { DEFAULT_METHOD } from '@podsocks/shared/crypto/methods';
import { listensWithin } from '../support/network-namespaces.ts';
import type { ProgramRun, Ready } from '../support/program-run.ts';
import { commandOf, passwordFor } from '../support/shadowsocks-ends.ts';
import type { Host } from './pod-network.ts';
import { createRoutedNetwork, type Leaf } from './routed-network.ts';

/*
 *  laptop ═ router ═ node-1, with an ss-server
 *                  ═ node-2, with an ss-server
 *                  ⋮
 *                  ═ target, which sees which of them asks
 */

export const TARGET_PORT = 80;
const SERVER_PORT = 8388;
/** Where ss-server is behind a long way. */
const HIDDEN_PORT = 8389;

const KEY = passwordFor(DEFAULT_METHOD);

export type Command = readonly [string, ...string[]];

/** A program that can be stopped and continued. */
export interface SignalledRun extends ProgramRun {
  signal(signal: 'SIGSTOP' | 'SIGCONT' | 'SIGKILL'): void;
}

export interface ServerNode extends Leaf {
  readonly name: string;
  /** For ss-local. */
  readonly url: string;
  /** To its ss-server. */
  signal: SignalledRun['signal'];
  /** Ends ss-server, however it does, and starts another one. */
  restart(): Promise<void>;
}

export interface NodeOptions {
  /** Milliseconds that whatever is said takes, in each direction. */
  readonly delay?: number;
  /** Whether there is no ss-server. */
  readonly refuses?: boolean;
}

export interface ServerNodes {
  /** Of what answers at {@link TARGET_PORT}, by TCP and UDP, with the address that asks. */
  readonly target: string;
  addNode(name: string, options?: NodeOptions): Promise<ServerNode>;
  addLaptop(): Leaf;
  /** Starts something that ends with the rest: one after the other, as a busy machine does not start a dozen in time. */
  start(host: Host, title: string, command: Command, ready: Ready): Promise<SignalledRun>;
  close(): Promise<void>;
}

export async function startServerNodes(): Promise<ServerNodes> {
  const network = createRoutedNetwork();
  const runs: SignalledRun[] = [];
  let laptops = 0;
  const close = async () => {
    for (const run of runs) run.signal('SIGKILL');
    await Promise.all(runs.map(run => run.stop()));
    network.remove();
  };
  let before: Promise<unknown> = Promise.resolve();
  const start: ServerNodes['start'] = (host, title, command, ready) => {
    const starting = before.then(async () => {
      const run = await startSignalled(host, title, command, ready);
      runs.push(run);
      return run;
    });
    before = starting.catch(() => {});
    return starting;
  };
  try {
    const target = network.addLeaf('target');
    const command = [process.execPath, programPath('who-asks.mjs'), `${TARGET_PORT}`] as const;
    await start(target, 'target', command, listensWithin(TARGET_PORT, ['tcp', 'udp']));
    return {
      target: target.address,
      addNode: (name, options = {}) => startNode({ ...network.addLeaf(name), name }, options, start),
      addLaptop: () => network.addLeaf(`laptop-${++laptops}`),
      start,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function startNode(
  leaf: Leaf & { readonly name: string },
  { delay, refuses = false }: NodeOptions,
  start: ServerNodes['start'],
): Promise<ServerNode> {
  const { name, address } = leaf;
  const port = delay === undefined ? SERVER_PORT : HIDDEN_PORT;
  const command: Command = [...commandOf('podsocks', 'server'), '-p', `${port}`, '-k', KEY, '-m', DEFAULT_METHOD, '-u'];
  const startServer = () => start(leaf, name, command, listensWithin(port, ['tcp', 'udp']));
  let server = refuses ? undefined : await startServer();
  if (delay !== undefined) {
    const args = [SERVER_PORT, HIDDEN_PORT, delay].map(String);
    const way: Command = [process.execPath, programPath('slow-forward.mjs'), ...args];
    await start(leaf, `the way to ${name}`, way, listensWithin(SERVER_PORT));
  }
  return {
    ...leaf,
    url: `ss://${DEFAULT_METHOD}:${encodeURIComponent(KEY)}@${address}:${SERVER_PORT}#${name}`,
    signal: signal => server?.signal(signal),
    async restart() {
      server?.signal('SIGKILL');
      await server?.stop();
      server = await startServer();
    },
  };
}

/** Starts a program, and keeps its process id: what runs it in a namespace gives way to it. */
async function startSignalled(host: Host, title: string, command: Command, ready: Ready): Promise<SignalledRun> {
  let id = 0;
  const run = await host.start(title, command, (pid, output) => {
    id = pid;
    return ready(pid, output);
  });
  const hasEnded = () => run.output().includes('[ended: ');
  return {
    ...run,
    signal(signal) {
      if (!hasEnded()) process.kill(id, signal);
    },
  };
}

/** A program for a machine of these networks. */
export function programPath(name: string): string {
  return fileURLToPath(new URL(`programs/${name}`, import.meta.url));
}
