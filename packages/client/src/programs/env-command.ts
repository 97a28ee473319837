import type { Surroundings } from '@podsocks/shared/runtime/lifecycle';
import { addSettings } from '@podsocks/shared/settings/program';
import { flagLayer, type Settings, single, toggle } from '@podsocks/shared/settings/settings';
import { oneOf } from '@podsocks/shared/settings/values';
import { formatTarget } from '@podsocks/shared/wire/address';
import type { Command } from 'commander';
import { ECOSYSTEM_SETTINGS, ecosystemsOf } from './ecosystem-settings.ts';
import type { Environment, FindInstance } from './find-or-start.ts';
import { proxyVariables, WITHOUT_PASSWORD, withoutProxy } from './proxy-variables.ts';
import { SHELLS, script, shellOf, usageOf } from './shells.ts';

export interface EnvDeps extends FindInstance {
  readonly platform: NodeJS.Platform;
}

const ENV_SETTINGS = {
  shell: single({ flags: '--shell <name>' }, `${SHELLS.join(', ')} (default: yours)`, oneOf(SHELLS)),
  ...ECOSYSTEM_SETTINGS,
  unset: toggle('--unset', 'take the variables away again'),
} satisfies Settings;

const HELP = `
How to have it evaluated:
${SHELLS.map(shell => `  ${shell.padEnd(12)}${usageOf(shell)}`).join('\n')}`;

/** Adds `env`: text for a shell that sets the variables by which programs find ss-local. Nothing else goes to stdout. */
export function addEnvCommand(program: Command, env: Environment, surroundings: Surroundings, deps: EnvDeps): void {
  const { stdout, stderr } = surroundings;
  const command = program.command('env').description('print variables for programs that shall use ss-local, for eval');
  addSettings(command, ENV_SETTINGS);
  command.addHelpText('after', HELP);
  command.action(async () => {
    const parsed = command.opts();
    const { shell: given, unset } = flagLayer(ENV_SETTINGS, parsed);
    const shell = given?.value ?? shellOf(env, deps.platform);
    const ecosystems = ecosystemsOf(parsed);
    if (unset) {
      stdout.write(script(shell, withoutProxy(ecosystems, env), []));
      return;
    }
    const { endpoint, access } = deps.loadLocal(program.opts(), env);
    const status = await deps.fetchStatus(endpoint, access);
    const asks = status?.asksForPassword ?? access !== undefined;
    const proxy = { ...endpoint, ...(asks && access && { access }) };
    const comments = [
      `ss-local at ${formatTarget(endpoint)}; ${usageOf(shell)}`,
      ...(proxy.access ? ['The user name and password in these values are secrets.'] : []),
    ];
    stdout.write(script(shell, proxyVariables(proxy, ecosystems, env), comments));
    const note = (text: string) => stderr.write(`${program.name()}: env: ${text}\n`);
    if (status === undefined)
      note(`no ss-local answers at ${formatTarget(endpoint)} yet; start it, or say which: -b, -l, -c`);
    const mute = ecosystems.filter(name => proxy.access && WITHOUT_PASSWORD.includes(name));
    if (mute.length > 0) note(`${mute.join(', ')}: ${NO_JAVA_PASSWORD}`);
  });
}

const NO_JAVA_PASSWORD =
  'a JVM has no setting for a password of a proxy; let ss-local listen on loopback without one (-b 127.0.0.1)';
