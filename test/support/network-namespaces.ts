import { spawnSync } from 'node:child_process';
import { readlink } from 'node:fs/promises';
import { isPortTaken } from './ports.ts';
import { type ProgramRun, type Ready, startProgram } from './program-run.ts';
import { pathOf } from './programs.ts';

/** A network of its own for some programs, below the name of this process. */
export interface Namespace {
  readonly name: string;
  /** Runs `ip` within. */
  ip(...args: readonly string[]): void;
  /** A command, made to run within. */
  within(command: readonly [string, ...string[]]): [string, ...string[]];
  /** Starts a program within and waits until something there listens on this TCP port, or it is ready in another way. */
  start(title: string, command: readonly [string, ...string[]], ready: number | Ready): Promise<ProgramRun>;
  remove(): void;
}

const existing = new Set<string>();

// Hooks do not run when the worker itself is ended.
process.on('exit', () => {
  for (const name of existing) spawnSync(pathOf('ip'), ['netns', 'del', name]);
});

export function createNamespace(role: string): Namespace {
  const name = `podsocks-${process.pid}-${role}`;
  runIp(['netns', 'add', name]);
  existing.add(name);
  const within = (command: readonly [string, ...string[]]): [string, ...string[]] => [
    pathOf('ip'),
    'netns',
    'exec',
    name,
    ...command,
  ];
  return {
    name,
    ip: (...args) => runIp(['-n', name, ...args]),
    within,
    start: (title, command, ready) =>
      startProgram(title, within(command), typeof ready === 'number' ? listensWithin(ready) : ready),
    remove() {
      runIp(['netns', 'del', name]);
      existing.delete(name);
    },
  };
}

/** Why this process can make no network namespaces with a tun device in them, if it cannot. */
export function namespaceObstacle(): string | undefined {
  if (process.platform !== 'linux') return 'needs Linux';
  if (process.getuid?.() !== 0) return 'needs root, for network namespaces';
  let probe: Namespace | undefined;
  try {
    probe = createNamespace('probe');
    const [command, ...args] = probe.within([pathOf('ip'), 'tuntap', 'add', 'mode', 'tun', 'name', 'tun0']);
    run(command, args);
    return undefined;
  } catch (error) {
    return `no network namespaces with a tun device here: ${(error as Error).message}`;
  } finally {
    probe?.remove();
  }
}

/** Until it has entered its namespace, a program sees the ports of ours. */
export function listensWithin(port: number, protocols: readonly ('tcp' | 'udp')[] = ['tcp']): Ready {
  return async pid => {
    const [its, ours] = await Promise.all([pid, 'self'].map(id => readlink(`/proc/${id}/ns/net`).catch(() => '')));
    if (its === ours) return false;
    const taken = await Promise.all(protocols.map(protocol => isPortTaken(pid, protocol, port)));
    return taken.every(Boolean);
  };
}

function runIp(args: readonly string[]): void {
  run(pathOf('ip'), args);
}

function run(command: string, args: readonly string[]): void {
  const { status, stderr, error } = spawnSync(command, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`ip ${args.join(' ')}: ${error?.message ?? stderr.trim()}`);
}
