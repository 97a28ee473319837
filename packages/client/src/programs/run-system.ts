import { spawn } from 'node:child_process';
import {
  accessSync,
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { constants as systemConstants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { inForeground } from './child.ts';
import type { Files } from './executable.ts';
import type { RunSystem } from './run-command.ts';

/** This process and its machine. */
export const runSystem: RunSystem = {
  platform: process.platform,
  files: files(),
  writeSecret,
  spawn: (command, args, env) => spawn(command, args, { env: env as NodeJS.ProcessEnv, stdio: 'inherit' }),
  isForeground,
  numberOf: signal => systemConstants.signals[signal],
  dieOf: signal => void process.kill(process.pid, signal),
};

function files(): Files {
  return {
    stat(path) {
      const stats = statSync(path);
      return { mode: stats.mode, isFile: stats.isFile() };
    },
    isExecutable(path) {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    },
    read(path, position, length) {
      const file = openSync(path, 'r');
      try {
        const bytes = Buffer.alloc(length);
        return bytes.subarray(0, readSync(file, bytes, 0, length, position));
      } finally {
        closeSync(file);
      }
    },
    realPath: path => realpathSync(path),
  };
}

/** In a folder of its own, which mkdtemp makes for this user only. */
function writeSecret(text: string): { readonly path: string; remove(): void } {
  const folder = mkdtempSync(join(tmpdir(), 'ss-local-run-'));
  const path = join(folder, 'proxychains.conf');
  writeFileSync(path, text, { mode: 0o600 });
  return { path, remove: () => rmSync(folder, { recursive: true, force: true }) };
}

function isForeground(): boolean {
  const hasTerminal = [process.stdin, process.stdout, process.stderr].some(stream => stream.isTTY);
  if (process.platform !== 'linux') return inForeground(undefined, hasTerminal);
  return inForeground(readFileSync('/proc/self/stat', 'utf8'), hasTerminal);
}
