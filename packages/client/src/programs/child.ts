import type { ProcessEvents } from '@podsocks/shared/runtime/lifecycle';

/** What is needed of a ChildProcess. */
export interface Child {
  once(event: 'exit', listener: (code: number | null, signal: NodeJS.Signals | null) => void): unknown;
  on(event: 'error', listener: (error: NodeJS.ErrnoException) => void): unknown;
  kill(signal: NodeJS.Signals): boolean;
}

/** How a child came to its end; `failed`: it was none. */
export type Ending =
  | { readonly code: number }
  | { readonly signal: NodeJS.Signals }
  | { readonly failed: NodeJS.ErrnoException };

export interface ChildSurroundings {
  readonly events: ProcessEvents;
  readonly platform: NodeJS.Platform;
  /** Whether the terminal's signals come to this process and to its child. */
  readonly isForeground: () => boolean;
}

/** What is meant for one process, and so passed on. */
const PASSED = ['SIGTERM', 'SIGHUP', 'SIGUSR1', 'SIGUSR2'] as const;

/** What a terminal sends to all processes of its foreground group: a second Ctrl-C would mean something else. */
const FROM_TERMINAL = ['SIGINT', 'SIGQUIT', 'SIGWINCH'] as const;

/** Windows sends them to all processes of a console, and `kill` is an end without a word there. */
const OF_CONSOLE = ['SIGINT', 'SIGBREAK', 'SIGHUP'] as const;

/** Starts a child and lives for as long as it does, whatever signals come. */
export async function runChild(
  start: () => Child,
  { events, platform, isForeground }: ChildSurroundings,
): Promise<Ending> {
  const listeners = new Map<NodeJS.Signals, () => void>();
  let child: Child | undefined;
  const onWindows = platform === 'win32';
  for (const signal of onWindows ? OF_CONSOLE : [...PASSED, ...FROM_TERMINAL]) {
    const isShared = onWindows || FROM_TERMINAL.some(name => name === signal);
    listeners.set(signal, () => {
      const hasIt = isShared && (onWindows || isForeground());
      if (!hasIt) child?.kill(signal);
    });
  }
  for (const [signal, listener] of listeners) events.on(signal, listener);
  try {
    return await new Promise<Ending>(resolve => {
      child = start();
      child.on('error', failed => {
        // A signal that may not be sent to one that runs with other rights is no end.
        if (failed.syscall !== 'kill') resolve({ failed });
      });
      child.once('exit', (code, signal) => resolve(signal === null ? { code: code ?? 1 } : { signal }));
    });
  } catch (error) {
    return { failed: error as NodeJS.ErrnoException };
  } finally {
    for (const [signal, listener] of listeners) events.off(signal, listener);
  }
}

/**
 * Whether a process belongs to the group that its terminal sends signals to.
 *
 * @param stat /proc/self/stat, where there is one.
 * @param hasTerminal whether a standard stream is a terminal, which is all that can be said elsewhere.
 */
export function inForeground(stat: string | undefined, hasTerminal: boolean): boolean {
  if (stat === undefined) return hasTerminal;
  // The name of the program, in parentheses, may have blanks and parentheses in it. Behind it: state, parent, group, …
  const [, , group, , , foreground] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return group !== undefined && group === foreground;
}
