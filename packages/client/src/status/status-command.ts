import { PodsocksError } from '@podsocks/shared/runtime/errors';
import type { Surroundings } from '@podsocks/shared/runtime/lifecycle';
import { addSettings } from '@podsocks/shared/settings/program';
import { flagLayer, type Settings, single } from '@podsocks/shared/settings/settings';
import { oneOf } from '@podsocks/shared/settings/values';
import { formatTarget } from '@podsocks/shared/wire/address';
import type { Command } from 'commander';
import { loadLocal } from '../config.ts';
import type { fetchStatus } from '../local-instance.ts';
import { renderStatus, STATUS_FORMATS } from './render.ts';

const STATUS_SETTINGS = {
  output: single(
    { flags: '-o, --output <format>' },
    `${STATUS_FORMATS.join(', ')} (default: table)`,
    oneOf(STATUS_FORMATS),
  ),
} satisfies Settings;

/** `ss-local status`: how a running ss-local is. @param failed sets the exit code 1. */
export function addStatusCommand(
  program: Command,
  env: Readonly<Record<string, string | undefined>>,
  { stdout }: Pick<Surroundings, 'stdout'>,
  { fetchStatus: fetch }: { readonly fetchStatus: typeof fetchStatus },
): void {
  const command = program
    .command('status')
    .description('say how a running ss-local is: servers, connections, failures');
  addSettings(command, STATUS_SETTINGS);
  command.addHelpText(
    'after',
    '\n-l and -b of ss-local (see: ss-local --help) say which one, if it is not at 127.0.0.1:1080.',
  );
  command.action(async () => {
    const { output } = flagLayer(STATUS_SETTINGS, command.opts());
    const { endpoint, access } = loadLocal(program.opts(), env);
    const status = await fetch(endpoint, access);
    if (status === undefined) {
      throw new PodsocksError(
        'ERR_DIAL',
        `no ss-local answers at ${formatTarget(endpoint)}; start one, or say where it is with -l (--local-port) and -b`,
      );
    }
    stdout.write(renderStatus(status, output?.value ?? 'table', new Date().toISOString()));
  });
}
