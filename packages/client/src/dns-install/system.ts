import { execFile } from 'node:child_process';
import { PodsocksError } from '@podsocks/shared/runtime/errors';

/** A command as it is run, without a shell. */
export type Command = readonly [program: string, ...args: string[]];

export interface Ended {
  /** 127 where there is no such program, as shells have it. */
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** What is changed: this machine, or a test's stand-in. */
export interface DnsSystem {
  readonly platform: NodeJS.Platform;
  /** Stands ahead of every path; empty on this machine. */
  readonly root: string;
  /** Whether this process may write to /etc, or on Windows is an administrator's. */
  isRoot(): Promise<boolean>;
  run(command: Command): Promise<Ended>;
}

const RUN_TIMEOUT_MS = 30_000;

/** @returns the machine that this process runs on. */
export function thisSystem(): DnsSystem {
  const { platform } = process;
  return {
    platform,
    root: '',
    isRoot: async () => (platform === 'win32' ? (await run(IS_ADMINISTRATOR)).code === 0 : process.getuid?.() === 0),
    run,
  };
}

const IS_ADMINISTRATOR = powerShell(
  'if (-not ([Security.Principal.WindowsPrincipal][Security.Principal.WindowsIdentity]::GetCurrent()).IsInRole(' +
    '[Security.Principal.WindowsBuiltInRole]::Administrator)) { exit 1 }',
);

export function powerShell(script: string): Command {
  return ['powershell.exe', '-NoProfile', '-NonInteractive', '-Command', script];
}

function run([program, ...args]: Command): Promise<Ended> {
  return new Promise(resolve => {
    execFile(program, args, { timeout: RUN_TIMEOUT_MS, encoding: 'utf8' }, (error, stdout, stderr) => {
      if (!error) resolve({ code: 0, stdout, stderr });
      else if (error.code === 'ENOENT') resolve({ code: 127, stdout, stderr: `${program} is not installed` });
      else resolve({ code: typeof error.code === 'number' ? error.code : 1, stdout, stderr: stderr || error.message });
    });
  });
}

/** For what the machine does not let us do; exit code 1. */
export function refused(message: string): PodsocksError {
  return new PodsocksError('ERR_DENIED', message);
}
