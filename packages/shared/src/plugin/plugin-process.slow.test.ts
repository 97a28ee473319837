import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { describe, expect, it, onTestFinished } from 'vitest';
import { fakePlugin } from './fake-plugin-fixtures.ts';
import { guarded } from './plugin-process.ts';

const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

/** A process that starts a guarded plugin as PluginProcess does, and says its number. */
const PARENT = `
const [command, args, env] = JSON.parse(process.argv[1]);
const child = require('node:child_process').spawn(command, args, { env, detached: true, stdio: ['ignore', 'pipe', 'inherit', 'pipe'] });
child.stdout.once('data', () => console.log(child.pid));
setInterval(() => {}, 1000);
`;

describe.skipIf(process.platform === 'win32')('when we are killed', () => {
  it.each(['deaf', 'deaf;stubborn', 'deaf;child'])('the plugin ends: %s', async options => {
    const [command, args] = guarded(fakePlugin().path);
    const argument = JSON.stringify([command, args, { SS_PLUGIN_OPTIONS: options }]);
    const parent = spawn(process.execPath, ['-e', PARENT, argument], { stdio: ['ignore', 'pipe', 'ignore'] });
    onTestFinished(() => void parent.kill('SIGKILL'));
    const [line] = await once(createInterface(parent.stdout), 'line');
    const pid = Number(line);
    expect(isAlive(pid)).toBe(true);
    parent.kill('SIGKILL');
    // The whole group: what the plugin has started, and the watcher.
    await expect.poll(() => isAlive(-pid), { timeout: 10_000 }).toBe(false);
  });
});
