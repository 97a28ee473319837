import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import type { Writable } from 'node:stream';
import type { PluginOutput } from './plugin-output.ts';

const SHELL = '/bin/sh';

/**
 * The plugin, and beside it a watcher that reads from our pipe. The pipe ends when we do, however that happens; then the
 * watcher ends the group, itself among it. Of a plugin that has ended we tell it by a line, and it ends what is left of the
 * group at once. As long as the watcher is there, nobody else can have the number of the group.
 */
const GUARDED = `
(trap '' TERM INT HUP
read -r _ <&3 || { kill -TERM -$$; sleep 2; }
kill -KILL -$$) >/dev/null 2>&1 &
exec 3<&-
exec "$0"
`;

/** What a plugin gets between being asked and being made to end. */
const PATIENCE_MS = 2_000;

/** What is written on the way out arrives long before. */
const LAST_BYTES_MS = 500;

/** The command that runs a program which ends when the other end of descriptor 3 does. */
export function guarded(program: string): readonly [command: string, args: readonly string[]] {
  return [SHELL, ['-c', GUARDED, program]];
}

/**
 * A running plugin, in a process group of its own: Ctrl-C in a terminal is for us alone, as connections may still need the
 * plugin for a while. It does not outlive this process: on Windows libuv's job object sees to that, in a container the end of
 * process 1, elsewhere {@link guarded}, where there is a shell.
 */
export class PluginProcess {
  /** When it is gone: how it has ended, in words. */
  readonly ended: Promise<string>;
  readonly #child: ChildProcess;
  readonly #isGroup = process.platform !== 'win32';
  #isGone = false;

  /** @param environment all of it; options are there, and never in the arguments, which others can see. */
  constructor(program: string, environment: Readonly<Record<string, string>>, output: PluginOutput) {
    // Whoever is process 1 of a container takes all others with it, and has to bury the watchers of plugins that ended.
    const isGuarded = this.#isGroup && process.pid !== 1 && existsSync(SHELL);
    const [command, args] = isGuarded ? guarded(program) : [program, []];
    const child = spawn(command, args, {
      env: environment,
      detached: this.#isGroup,
      windowsHide: true,
      // Not its standard input: Node closes that before it says that a child has ended.
      stdio: ['ignore', 'pipe', 'pipe', ...(isGuarded ? (['pipe'] as const) : [])],
    });
    this.#child = child;
    const watcher = child.stdio[3] as Writable | undefined;
    watcher?.on('error', () => {}); // it has gone; there is nobody left to tell
    for (const name of ['stdout', 'stderr'] as const) child[name]?.on('data', bytes => output.feed(name, bytes));
    this.ended = new Promise(resolve => {
      child.once('error', error => {
        if (child.pid === undefined) resolve(`it cannot be run (${(error as NodeJS.ErrnoException).code})`);
      });
      child.once('exit', (code, signal) => {
        this.#isGone = true;
        watcher?.end('\n');
        // What it started may hold its streams open.
        const timer = setTimeout(() => {
          child.stdout?.destroy();
          child.stderr?.destroy();
        }, LAST_BYTES_MS);
        child.once('close', () => {
          clearTimeout(timer);
          output.end();
          resolve(signal === null ? `exit code ${code}` : `${signal}`);
        });
      });
    });
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** Asks it to end, and makes it after 2 s. Resolves when it is gone. */
  async stop(): Promise<void> {
    this.#signal('SIGTERM');
    const timer = setTimeout(() => this.#signal('SIGKILL'), PATIENCE_MS);
    await this.ended;
    clearTimeout(timer);
  }

  #signal(signal: NodeJS.Signals): void {
    const { pid } = this.#child;
    if (pid === undefined || this.#isGone) return;
    try {
      if (this.#isGroup) process.kill(-pid, signal);
      else this.#child.kill(signal);
    } catch {
      // It has gone this moment.
    }
  }
}
