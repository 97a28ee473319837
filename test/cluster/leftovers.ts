import { spawnSync } from 'node:child_process';
import { pathOf } from '../support/programs.ts';

/**
 * Removes network namespaces whose maker was killed before it could. Their programs have ended with it (see withMounts).
 */
export function removeLeftovers(): void {
  const { stdout } = spawnSync(pathOf('ip'), ['netns', 'list'], { encoding: 'utf8' });
  for (const [, name, maker] of stdout.matchAll(/^(podsocks-(\d+)-\S+)/gm)) {
    if (!isAlive(Number(maker))) spawnSync(pathOf('ip'), ['netns', 'del', name!]);
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
