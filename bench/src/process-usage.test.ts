import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { processorSeconds, processTree, residentBytes } from './process-usage.ts';

describe.runIf(process.platform === 'linux')('[on Linux] a process that has started another', () => {
  it('is counted with it', async () => {
    const busy = 'const until = Date.now() + 300; while (Date.now() < until);';
    const inner = `${busy} console.log('done'); setTimeout(() => {}, 60_000);`;
    const outer = `require('child_process').spawn(process.execPath, ['-e', ${JSON.stringify(inner)}], { stdio: 'inherit' });`;
    const child = spawn(process.execPath, ['-e', outer], { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(child.stdout, 'data');
    const tree = processTree(child.pid!);
    try {
      expect(tree).toHaveLength(2);
      expect(processorSeconds(tree[0]!)).toBeGreaterThan(processorSeconds(tree[1]!));
      expect(residentBytes(tree[0]!)).toBeGreaterThan(residentBytes(tree[1]!));
    } finally {
      for (const pid of tree) process.kill(pid, 'SIGKILL');
    }
  });
});
