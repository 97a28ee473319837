import { describe } from 'vitest';

/** A suite that needs /proc, or signals as Linux has them. Elsewhere its tests are skipped and the title says why. */
export function describeOnLinux(title: string, suite: () => void): void {
  if (process.platform === 'linux') describe(title, suite);
  else describe.skip(`${title} [SKIPPED: needs Linux]`, suite);
}
