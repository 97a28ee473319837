import type { Surroundings } from '@podsocks/shared/runtime/lifecycle';
import type { Logger } from '@podsocks/shared/runtime/log';
import type { Command } from 'commander';
import type { RunningClient } from './client.ts';
import { type ClientConfig, loadClient, loadLocal } from './config.ts';
import { addDnsCommands } from './dns-install/dns-command.ts';
import { thisSystem } from './dns-install/system.ts';
import { addDoctorCommand } from './doctor/doctor-command.ts';
import { openExamined } from './doctor/examined-servers.ts';
import { fetchStatus, localEndpoint } from './local-instance.ts';
import { addEnvCommand } from './programs/env-command.ts';
import { addRunCommand } from './programs/run-command.ts';
import { runSystem } from './programs/run-system.ts';
import { addProxifierCommand } from './proxifier/proxifier-command.ts';
import { addStatusCommand } from './status/status-command.ts';
import { thisMachine } from './system-proxy/detect.ts';
import { addSystemProxyCommands } from './system-proxy/system-proxy-command.ts';

export interface SubcommandOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Without node and script. */
  readonly argv: readonly string[];
  readonly surroundings: Surroundings;
  /** What starts ss-local, for lines that are to be copied. */
  readonly self: readonly [string, ...string[]];
  readonly start: (config: ClientConfig, deps: { readonly log: Logger }) => Promise<RunningClient>;
  readonly setExitCode: (code: number) => void;
}

/** What ss-local does beside running: all of it finds a running one by the program's -l and -b. */
export function addSubcommands(program: Command, options: SubcommandOptions): void {
  const { env, argv, surroundings, self, start, setExitCode } = options;
  const { platform } = process;
  const instance = { localEndpoint, loadLocal, fetchStatus };

  addStatusCommand(program, env, surroundings, instance);
  addDoctorCommand(program, env, surroundings, { openExamined, setExitCode });
  addEnvCommand(program, env, surroundings, { ...instance, platform });
  const running = { ...instance, loadClient, start, argv, system: runSystem, exit: setExitCode };
  addRunCommand(program, env, surroundings, running);
  const desktop = { ...instance, machine: thisMachine(), now: () => new Date() };
  addSystemProxyCommands(program, env, surroundings, desktop);
  addProxifierCommand(program, env, surroundings, { ...instance, platform });
  addDnsCommands(program, env, surroundings, {
    ...thisSystem(),
    fetchStatus(flags, environment) {
      const { endpoint, access } = loadLocal(flags, environment);
      return fetchStatus(endpoint, access);
    },
    self,
  });
}
