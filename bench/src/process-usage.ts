import { readdirSync, readFileSync } from 'node:fs';

/** Of /proc/PID/stat: USER_HZ is 100 on every Linux. */
const TICKS_PER_SECOND = 100;
/** Of what follows the name in /proc/PID/stat (proc(5)): fields 14 and 15, utime and stime. */
const [UTIME, STIME] = [11, 12];

/** A process and all that it has started and they have started, as far as they still run; itself first. */
export function processTree(pid: number): number[] {
  return [pid, ...childrenOf(pid).flatMap(processTree)];
}

/** Processor seconds that a process and its children have used so far, user and system, all of their threads. */
export function processorSeconds(pid: number): number {
  return sum(processTree(pid), each => {
    const stat = readFileSync(`/proc/${each}/stat`, 'utf8');
    // The name before it is in parentheses and may hold anything.
    const fields = stat.slice(stat.lastIndexOf(') ') + 2).split(' ');
    return (Number(fields[UTIME]) + Number(fields[STIME])) / TICKS_PER_SECOND;
  });
}

/** Resident memory of a process and its children in bytes; pages that they share count in each. */
export function residentBytes(pid: number): number {
  return sum(processTree(pid), each => {
    const [, kilobytes] = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${each}/status`, 'utf8'))!;
    return Number(kilobytes) * 1024;
  });
}

function childrenOf(pid: number): number[] {
  return orNothing(() => readdirSync(`/proc/${pid}/task`)).flatMap(thread =>
    orNothing(() => readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8').match(/\d+/g) ?? []).map(Number),
  );
}

/** Processes and threads may end while they are looked at. */
function orNothing(read: () => string[]): string[] {
  try {
    return read();
  } catch {
    return [];
  }
}

function sum(pids: readonly number[], of: (pid: number) => number): number {
  return pids.reduce((total, pid) => total + of(pid), 0);
}
