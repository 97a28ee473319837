import { EventEmitter } from 'node:events';
import { runProgram, type Surroundings } from '@podsocks/shared/runtime/lifecycle';
import { createProgram } from '@podsocks/shared/settings/program';
import type { Command } from 'commander';
import { CLIENT_SETTINGS } from '../config.ts';
import type { ClientStatus } from '../status/client-status.ts';

/** What of a status the commands look at. */
export function statusOf({ asksForPassword = false, servers = ['node.example:8388'] } = {}): ClientStatus {
  return {
    ssLocal: { version: '1', pid: 1 },
    asksForPassword,
    servers: servers.map(address => ({ address })),
  } as unknown as ClientStatus;
}

/** Parses a command line of ss-local, which has the commands that `add` adds. */
export async function runCommandLine(
  argv: readonly string[],
  add: (program: Command, surroundings: Surroundings) => void,
): Promise<{ readonly code: number; readonly out: string; readonly err: string; readonly events: EventEmitter }> {
  const [out, err]: [string[], string[]] = [[], []];
  const events = new EventEmitter();
  const surroundings = {
    stdout: { write: (text: string) => out.push(text) },
    stderr: { write: (text: string) => err.push(text) },
    logTo: { write: (text: string) => void err.push(text) },
    events,
  };
  const about = { name: 'ss-local', version: '1', summary: 'test' };
  const program = createProgram(about, CLIENT_SETTINGS, surroundings.stdout);
  program.action(() => {
    throw new Error('none of the commands');
  });
  add(program, surroundings);
  const code = await runProgram(program, argv, surroundings);
  return { code, out: out.join(''), err: err.join(''), events };
}
