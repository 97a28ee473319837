import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { runProgram } from '@podsocks/shared/runtime/lifecycle';
import { createProgram } from '@podsocks/shared/settings/program';
import { several } from '@podsocks/shared/settings/settings';
import { parseHost } from '@podsocks/shared/settings/values';
import { onTestFinished } from 'vitest';
import { addDnsCommands, type DnsCommandDeps } from './dns-command.ts';
import type { RunningDns } from './fields.ts';
import { commandText } from './plan.ts';
import type { Command, DnsSystem, Ended } from './system.ts';

export interface TestMachine extends DnsSystem {
  /** Commands that changed something, as a shell would have them. */
  readonly ran: string[];
  /** What a command that matches ends with. */
  readonly answers: [pattern: RegExp, ended: Partial<Ended>][];
  root: string;
  isRoot(): Promise<boolean>;
}

const QUESTIONS = /^(systemctl is-|resolvectl --version|ConvertTo-Json)/;

/** A machine of which only the files are real, in a folder that goes with the test. */
export function testMachine(
  platform: NodeJS.Platform,
  files: Readonly<Record<string, string>> = {},
  { systemd = 252, asRoot = true } = {},
): TestMachine {
  const root = mkdtempSync(join(tmpdir(), 'podsocks-dns-'));
  onTestFinished(() => rmSync(root, { recursive: true }));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(root + path), { recursive: true });
    if (path.endsWith('/')) mkdirSync(root + path, { recursive: true });
    else writeFileSync(root + path, text);
  }
  const ran: string[] = [];
  const answers: TestMachine['answers'] = [
    [/^resolvectl --version/, { stdout: `systemd ${systemd} (${systemd}.1-1)\n+PAM\n` }],
    [/^ConvertTo-Json/, { stdout: '[]' }],
  ];
  return {
    platform,
    root,
    ran,
    answers,
    isRoot: async () => asRoot,
    run: async (command: Command) => {
      const text = commandText(command);
      if (!QUESTIONS.test(text)) ran.push(text);
      const [, ended] = answers.findLast(([pattern]) => pattern.test(text)) ?? [];
      return { code: 0, stdout: '', stderr: '', ...ended };
    },
  };
}

/** A flag of ss-local that is called as one of ours. */
export const SS_LOCAL_SETTINGS = {
  server: several({ flags: '-s, --server <host>', env: 'SS_SERVER' }, 'Shadowsocks server', parseHost),
};

/** Runs `ss-local dns …` on it. */
export async function dnsCommand(
  machine: DnsSystem & Partial<Pick<DnsCommandDeps, 'self'>>,
  argv: readonly string[],
  running: RunningDns | DnsCommandDeps['fetchStatus'] | undefined = undefined,
  settings = {},
) {
  const [out, err]: [string[], string[]] = [[], []];
  const surroundings = {
    stdout: { write: (text: string) => out.push(text) },
    stderr: { write: (text: string) => err.push(text) },
  };
  const program = createProgram({ name: 'ss-local', version: '1', summary: '' }, settings, surroundings.stdout);
  const deps: DnsCommandDeps = {
    self: ['ss-local'],
    ...machine,
    fetchStatus: typeof running === 'function' ? running : async () => running,
  };
  addDnsCommands(program, {}, surroundings, deps);
  const code = await runProgram(program, ['dns', ...argv], { ...surroundings, events: new EventTarget() as never });
  return { code, out: out.join(''), err: err.join('') };
}

/** Every path below a folder, with mode and content. */
export function treeOf(folder: string): Record<string, string> {
  const paths = readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort();
  return Object.fromEntries(
    paths.map(path => {
      const full = join(folder, path);
      const stat = lstatSync(full);
      const content = stat.isFile() ? readFileSync(full, 'latin1') : stat.isSymbolicLink() ? readlinkSync(full) : '';
      return [path, `${stat.mode.toString(8)} ${content}`];
    }),
  );
}
