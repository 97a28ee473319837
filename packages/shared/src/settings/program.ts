import { Command, Option } from 'commander';
import { PodsocksError } from '../runtime/errors.ts';
import { flagName, type Settings } from './settings.ts';

const NO_SETUID = 'it does not change its user; leave it out and start it as that user (in a pod: runAsUser)';

/**
 * Flags of shadowsocks-libev that have no effect here. They are refused, not ignored: better not to run than to run
 * without the ACL that somebody believes in.
 */
const REFUSED_FLAGS: readonly [flags: string, why: string][] = [
  ['-d, --nameserver [address]', 'names are looked up by ss-server; leave it out, and give it there'],
  ['-a [name]', NO_SETUID],
  ['--user [name]', NO_SETUID],
  ['-f, --pid-file [file]', 'it stays in the foreground; leave it out and let systemd or Kubernetes keep it running'],
  ['-i, --interface [name]', 'it does not bind to an interface; leave it out and choose by address with -b'],
  ['--key [key]', 'raw keys are not taken; use a 2022 method, whose password (-k) is a base64 key'],
  ['--manager-address [address]', 'there is no manager; leave it out and give several users in the file'],
];

/** A commander program with these settings; hidden among them the flags that are refused by name. */
export function createProgram(
  about: { readonly name: string; readonly version: string; readonly summary: string },
  settings: Settings,
  stdout: { write(text: string): unknown },
): Command {
  const program = new Command(about.name)
    .description(about.summary)
    .helpCommand(false)
    .exitOverride()
    // Errors come back as exceptions and are printed in one place; only help and version are written here.
    .configureOutput({ writeOut: text => void stdout.write(text), outputError: () => {} });
  addSettings(program, settings);
  const own = new Set(program.options.map(({ long }) => long));
  for (const [flags] of REFUSED_FLAGS) {
    const option = new Option(flags).hideHelp();
    if (!own.has(option.long)) program.addOption(option);
  }
  program.hook('preAction', (_, action) => refuseFlags(program, action));
  return program
    .version(about.version, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help');
}

/** Adds settings to a command: options, arguments, and a section of its help for what only the environment sets. */
export function addSettings(command: Command, settings: Settings): void {
  const unflagged: string[] = [];
  for (const { flags, env, describe, repeatable } of Object.values(settings)) {
    // Not commander's env(): that reads process.env by itself and knows nothing of service links.
    const help = env && flags ? `${describe} (env: ${env})` : describe;
    if (flags === undefined) unflagged.push(`  ${env}  ${describe}`);
    else if (!flags.startsWith('-')) command.argument(`[${flags}${repeatable ? '...' : ''}]`, help);
    else {
      const option = new Option(flags, help);
      // --no-delay is the name of a switch in libev; commander takes it for the negation of --delay.
      option.negate = false;
      if (repeatable) option.argParser((value: string, before: string[] = []) => [...before, value]);
      command.addOption(option);
    }
  }
  if (unflagged.length > 0) command.addHelpText('after', `\nEnvironment:\n${unflagged.join('\n')}`);
}

function refuseFlags(program: Command, action: Command): void {
  for (const option of program.options.filter(candidate => candidate.hidden)) {
    const name = option.attributeName();
    const value = program.getOptionValue(name);
    if (value === undefined) continue;
    // commander gives the program what its subcommand means by the same name.
    if (action !== program && action.options.some(({ long }) => long !== undefined && long === option.long)) {
      if (typeof value !== 'string') throw new PodsocksError('ERR_USAGE', `${option.long}: its value is missing`);
      action.setOptionValue(name, value);
      continue;
    }
    const why = REFUSED_FLAGS.find(([flags]) => flags === option.flags)![1];
    throw new PodsocksError('ERR_USAGE', `${flagName(option.flags)}: ${why}`);
  }
}
