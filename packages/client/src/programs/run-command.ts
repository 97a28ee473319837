import { PodsocksError } from '@podsocks/shared/runtime/errors';
import type { Surroundings } from '@podsocks/shared/runtime/lifecycle';
import { addSettings } from '@podsocks/shared/settings/program';
import { type Settings, toggle } from '@podsocks/shared/settings/settings';
import type { Command } from 'commander';
import { type Child, type Ending, runChild } from './child.ts';
import { type Environment, type FindOrStart, findOrStart } from './find-or-start.ts';
import { type Forced, type ForcedSystem, forced } from './forced.ts';
import type { ProxyEndpoint } from './proxy-endpoint.ts';
import { ECOSYSTEMS, proxyVariables } from './proxy-variables.ts';

/** The process and its machine. */
export interface RunSystem extends ForcedSystem {
  /** Starts a child that has this process's standard streams. */
  readonly spawn: (command: string, args: readonly string[], env: Environment) => Child;
  readonly isForeground: () => boolean;
  /** 15 for SIGTERM. */
  readonly numberOf: (signal: NodeJS.Signals) => number;
  /** Ends this process by a signal; returns where it does not. */
  readonly dieOf: (signal: NodeJS.Signals) => void;
}

export interface RunDeps extends FindOrStart {
  /** The program's own, without node and script. */
  readonly argv: readonly string[];
  readonly system: RunSystem;
  /** Takes the exit code. */
  readonly exit: (code: number) => void;
}

const RUN_SETTINGS = {
  force: toggle('--force', 'wrap it with proxychains4, for programs that take no proxy'),
  noJava: toggle('--no-java', 'leave JAVA_TOOL_OPTIONS alone, which each JVM mentions on its standard error'),
} satisfies Settings;

const HELP = `
Examples:
  ss-local run -- curl http://web.default.svc.cluster.local/
  ss-local -c local.json run -- ./gradlew test
  ss-local run --force -- psql -h db.default.svc.cluster.local

A running ss-local is used; else one is started for as long as the program runs.
Exit code: that of the program; 127 not found, 126 not executable.`;

/** What nobody but ss-local has to know. */
const SECRETS = [
  'SS_PASSWORD',
  'SS_URL',
  'SS_SERVERS_URL',
  'SS_SOCKS_PASSWORD',
  'SS_UPSTREAM',
  'SS_PLUGIN_OPTS',
] as const;

type CommandLine = readonly [string, ...string[]];

/** Adds `run`: a program whose connections go through ss-local. */
export function addRunCommand(program: Command, env: Environment, surroundings: Surroundings, deps: RunDeps): void {
  const { argv, exit, system } = deps;
  const name = program.name();
  const say = (text: string) => void surroundings.stderr.write(`${name}: run: ${text}\n`);
  const command = program.command('run').description('run a program whose connections go through ss-local');
  addSettings(command, RUN_SETTINGS);
  command.usage('[options] -- <command> [arguments...]').addHelpText('after', HELP).allowExcessArguments();

  command.action(async () => {
    const { force, noJava } = command.opts();
    const wanted = commandOf(command.args, argv, system.platform);
    const lent = await findOrStart(program.opts(), env, surroundings, deps, name);
    const ending = await runThrough(lent.proxy, wanted, { force, noJava }).finally(() => lent.close());
    if ('failed' in ending) {
      const { text, code } = failure(wanted[0], ending.failed, system.platform);
      say(text);
      exit(code);
    } else if ('code' in ending) {
      exit(ending.code);
    } else {
      exit(128 + system.numberOf(ending.signal));
      if (!DUMPS_CORE.has(ending.signal)) system.dieOf(ending.signal);
    }
  });

  async function runThrough(
    proxy: ProxyEndpoint,
    wanted: CommandLine,
    { force, noJava }: { readonly force?: true; readonly noJava?: true },
  ): Promise<Ending> {
    const wrapped: Forced = force
      ? forced(wanted, proxy, env.PATH, system, say)
      : { command: wanted, remove: () => {} };
    if ('missing' in wrapped) return { failed: wrapped.missing };
    const [file, ...args] = wrapped.command;
    const ecosystems = ECOSYSTEMS.filter(ecosystem => !(noJava && ecosystem === 'java'));
    const childEnv = environment(env, proxyVariables(proxy, ecosystems, env));
    const { events } = surroundings;
    try {
      return await runChild(() => system.spawn(file, args, childEnv), { ...system, events });
    } finally {
      wrapped.remove();
    }
  }
}

/** A core of this program would be of no use to anybody. */
const DUMPS_CORE: ReadonlySet<NodeJS.Signals> = new Set([
  'SIGQUIT',
  'SIGILL',
  'SIGTRAP',
  'SIGABRT',
  'SIGBUS',
  'SIGFPE',
  'SIGSEGV',
  'SIGSYS',
]);

/**
 * The command line to run. The dashes are asked for: without them flags of the command would be taken for ours, `curl -s` for
 * one, and nobody would notice.
 */
function commandOf(args: readonly string[], argv: readonly string[], platform: NodeJS.Platform): CommandLine {
  const [first, ...others] = args;
  if (first === undefined) throw usage('which program? write it behind two dashes: ss-local run -- curl …');
  if (argv.at(-args.length - 1) === '--') return [first, ...others];
  const complaint = 'write two dashes ahead of the program, so that its flags are its own: ss-local run -- curl …';
  throw usage(platform === 'win32' ? `${complaint} (PowerShell keeps them for itself: '--' in quotes)` : complaint);
}

function environment(
  env: Environment,
  variables: readonly { readonly name: string; readonly value: string | undefined }[],
): Environment {
  const child: Record<string, string | undefined> = { ...env };
  for (const name of SECRETS) delete child[name];
  for (const { name, value } of variables) {
    if (value === undefined) delete child[name];
    else child[name] = value;
  }
  return child;
}

/** As env(1) has it. */
function failure(
  command: string,
  { code, message }: NodeJS.ErrnoException,
  platform: NodeJS.Platform,
): { readonly text: string; readonly code: number } {
  const quoted = JSON.stringify(command);
  const mend = platform === 'win32' ? `; a .cmd file runs by: ss-local run -- cmd /c ${command}` : '';
  if (code === 'ENOENT') return { text: `${quoted}: there is no such program${mend}`, code: 127 };
  return { text: `${quoted}: cannot be run (${code ?? message})${mend}`, code: 126 };
}

function usage(message: string): PodsocksError {
  return new PodsocksError('ERR_USAGE', `run: ${message}`);
}
