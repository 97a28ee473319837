import type { Command } from 'commander';

/**
 * `ss-local ss://… doctor`: what stands ahead of a subcommand is no argument to commander, but another subcommand's name. So URLs
 * are taken out there, for whoever runs it to set them as the option that they are.
 *
 * @param scratch a program with the same options and subcommands, which is not run.
 */
export function withoutUrlsAhead(
  scratch: Command,
  argv: readonly string[],
): { readonly argv: readonly string[]; readonly urls: readonly string[] } {
  const end = argv.indexOf('--');
  const own = end < 0 ? argv : argv.slice(0, end);
  const operands = operandsOf(scratch, own);
  const at = operands.findIndex(operand => !isServerUrl(operand));
  const isCommand = scratch.commands.some(command => command.name() === operands[at]);
  if (at < 1 || !isCommand) return { argv, urls: [] };
  const urls = operands.slice(0, at);
  const left = [...argv];
  for (const url of urls) left.splice(left.indexOf(url), 1);
  return { argv: left, urls };
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
