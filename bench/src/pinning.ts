import { readFileSync } from 'node:fs';
import { findOnPath } from './executables.ts';

/** Lists of processors as taskset takes them, `0,2-5`; undefined means that the kernel is left to choose. */
export interface Pinning {
  readonly server: string | undefined;
  readonly client: string | undefined;
  readonly load: string | undefined;
  /** What was done, in words for the results. */
  readonly words: string;
}

const THREADS_FREE = 'programs with several threads (Rust, Go) may use all CPUs';
const NOT_PINNED = { server: undefined, client: undefined, load: undefined };

/** How this machine's processors are given out. Linux only: it asks /proc and /sys. */
export function pinningHere(): Pinning {
  if (!findOnPath('taskset'))
    return { ...NOT_PINNED, words: `nothing is pinned, as there is no taskset; ${THREADS_FREE}` };
  const [, allowed] = /^Cpus_allowed_list:\s*(\S+)/m.exec(readFileSync('/proc/self/status', 'utf8'))!;
  return planPinning(parseCpuList(allowed!), siblingsOf);
}

/**
 * One processor for the server, one on another core for the client, and where there are at least four, the others for what
 * makes the load: those that share no core with the two, if at least two such are left.
 *
 * @param cpus numbers of those that may be used.
 * @param siblings which processors share a core with this one, itself included.
 */
export function planPinning(cpus: readonly number[], siblings: (cpu: number) => readonly number[]): Pinning {
  const [server] = cpus;
  if (server === undefined || cpus.length < 2)
    return { ...NOT_PINNED, words: 'nothing is pinned, as there is one CPU' };
  const others = cpus.filter(cpu => cpu !== server);
  const client = others.find(cpu => !siblings(server).includes(cpu)) ?? others[0]!;
  const ends = `each server pinned to CPU ${server}, each client to CPU ${client}, however many threads it has (except where it says "all CPUs")`;
  const pinned = { server: `${server}`, client: `${client}` };
  if (cpus.length < 4)
    return { ...pinned, load: undefined, words: `${ends}; the load generator is on all ${cpus.length}` };
  const rest = others.filter(cpu => cpu !== client);
  const apart = rest.filter(cpu => !siblings(server).includes(cpu) && !siblings(client).includes(cpu));
  const load = (apart.length >= 2 ? apart : rest).join(',');
  return { ...pinned, load, words: `${ends}; the load generator to CPUs ${load}` };
}

/** `0-2,7` as numbers. */
export function parseCpuList(list: string): number[] {
  return list.split(',').flatMap(range => {
    const [first, last] = range.split('-').map(Number);
    return Array.from({ length: (last ?? first!) - first! + 1 }, (_, index) => first! + index);
  });
}

function siblingsOf(cpu: number): number[] {
  try {
    const path = `/sys/devices/system/cpu/cpu${cpu}/topology/thread_siblings_list`;
    return parseCpuList(readFileSync(path, 'utf8').trim());
  } catch {
    return [cpu];
  }
}
