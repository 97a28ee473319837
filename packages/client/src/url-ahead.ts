import type { Command } from 'commander';

/**
 * `ss-local ss://… doctor`: what stands ahead of a subcommand is no argument to commander, but another subcommand's name. So URLs
 * are taken out there, and say what SS_URL would.
 *
 * @param scratch a program with the same options and subcommands, which is not run.
 */
export function withoutUrlsAhead(
  scratch: Command,
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): { readonly argv: readonly string[]; readonly env: Readonly<Record<string, string | undefined>> } {
  const end = argv.indexOf('--');
  const own = end < 0 ? argv : argv.slice(0, end);
  const operands = operandsOf(scratch, own);
  const at = operands.findIndex(operand => !isServerUrl(operand));
  const isCommand = scratch.commands.some(command => command.name() === operands[at]);
  if (at < 1 || !isCommand) return { argv, env };
  const urls = operands.slice(0, at);
  const left = [...argv];
  for (const url of urls) left.splice(left.indexOf(url), 1);
  return { argv: left, env: { ...env, SS_URL: urls.join(',') } };
}

export function isServerUrl(argument: string): boolean {
  return /^ss:\/\//i.test(argument);
}

/** None where something is wrong with the options, or one of them asks for no more than the version: what parses them next says so. */
function operandsOf(scratch: Command, argv: readonly string[]): readonly string[] {
  try {
    return scratch.parseOptions([...argv]).operands;
  } catch {
    return [];
  }
}
