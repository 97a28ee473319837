import { PodsocksError } from '@podsocks/shared/runtime/errors';
import type { Surroundings } from '@podsocks/shared/runtime/lifecycle';
import { addSettings } from '@podsocks/shared/settings/program';
import { flagLayer, type Settings } from '@podsocks/shared/settings/settings';
import { formatTarget } from '@podsocks/shared/wire/address';
import type { Command } from 'commander';
import { applyPlan } from './apply.ts';
import type { Backend } from './backend.ts';
import { detectBackend } from './detect.ts';
import { dnsmasq, networkManager } from './dnsmasq.ts';
import { BACKEND_SETTINGS, DNS_INSTALL_SETTINGS, type RunningDns, wantedOf } from './fields.ts';
import { nrpt } from './nrpt.ts';
import { type BackendName, commandText, type Plan, planText, powerShellText, type Wanted } from './plan.ts';
import { resolverFiles } from './resolver-files.ts';
import { type DnsSystem, refused } from './system.ts';
import { systemdResolved } from './systemd-resolved.ts';

const ALL: readonly Backend[] = [systemdResolved, dnsmasq, networkManager, resolverFiles, nrpt];

const INSTALL_SETTINGS = { ...DNS_INSTALL_SETTINGS, ...BACKEND_SETTINGS } satisfies Settings;

type Environment = Readonly<Record<string, string | undefined>>;

export interface DnsCommandDeps extends DnsSystem {
  /**
   * Asks the ss-local that flags and environment lead to; undefined if there is none.
   *
   * @throws PodsocksError ERR_DENIED where it wants another password.
   */
  fetchStatus(flags: Readonly<Record<string, unknown>>, env: Environment): Promise<RunningDns | undefined>;
  /** What starts this program, for the line with sudo. */
  readonly self: readonly [string, ...string[]];
}

/** Adds `dns print`, `install` and `uninstall`, which have the system send the cluster's zones to the local DNS server. */
export function addDnsCommands(
  program: Command,
  env: Environment,
  { stdout, stderr }: Pick<Surroundings, 'stdout' | 'stderr'>,
  deps: DnsCommandDeps,
): void {
  const dns = program
    .command('dns')
    .description("have the system send the cluster's names to --dns: see dns install --help");
  dns.helpCommand(false).action(() => {
    const [word] = dns.args;
    const wrong = word === undefined || word.startsWith('-') ? '' : `there is no ${JSON.stringify(word)}; `;
    const mend = 'say what to do: ss-local dns print|install|uninstall; see: ss-local dns --help';
    throw new PodsocksError('ERR_USAGE', `dns: ${wrong}${mend}`);
  });

  const say = (line: string) => void stderr.write(`${line}\n`);

  /** commander gives the program what its subcommand means by the same name: --server. */
  const flagsOf = (command: Command, settings: Settings) =>
    Object.fromEntries(Object.keys(settings).map(name => [name, command.opts()[name] ?? program.opts()[name]]));

  const wantedBy = async (command: Command) => {
    const flags = flagsOf(command, INSTALL_SETTINGS);
    const { server: _, ...others } = program.opts();
    const running = await deps.fetchStatus(others, env).catch((error: unknown) => {
      if (!(error instanceof PodsocksError) || error.code !== 'ERR_DENIED') throw error;
      say(`the running ss-local does not say what it answers: ${error.message}`);
      return undefined;
    });
    const wanted = wantedOf(flags, running, say);
    const backend = backendFor(flags) ?? backendNamed(detectBackend(deps));
    const plan = await backend.install(deps, wanted);
    return { wanted, running, plan };
  };

  const print = dns.command('print').description('show what install would write and run, and change nothing');
  addSettings(print, INSTALL_SETTINGS);
  print.action(async () => {
    const { plan, wanted } = await wantedBy(print);
    stdout.write(plan.steps.length > 0 ? planText(plan) : `${alreadyInstalled(plan, wanted)}\n`);
  });

  const install = dns.command('install').description('show it, then do it; as root');
  addSettings(install, INSTALL_SETTINGS);
  install.action(async () => {
    const { wanted, running, plan } = await wantedBy(install);
    if (plan.steps.length === 0) {
      stdout.write(`${alreadyInstalled(plan, wanted)}\n`);
    } else {
      stdout.write(planText(plan));
      await needRoot('install', ['install', '--backend', plan.backend, ...flagsFor(wanted)]);
      await applyPlan(deps, plan);
      stdout.write(`installed: ${summary(plan, wanted)}\n`);
    }
    if (running?.dns === undefined) {
      say(
        `no ss-local with --dns was found: until one answers at ${formatTarget(wanted.server)}, these names are not found`,
      );
    }
  });

  const uninstall = dns
    .command('uninstall')
    .description('take away what install has written, and nothing else; as root');
  addSettings(uninstall, BACKEND_SETTINGS);
  uninstall.action(async () => {
    const flags = flagsOf(uninstall, BACKEND_SETTINGS);
    const given = backendFor(flags);
    const backends = given ? [given] : ALL.filter(({ name }) => platformsOf(name).includes(deps.platform));
    for (const path of backends.flatMap(backend => backend.foreign(deps))) {
      say(`left alone, since ss-local dns install has not written it: ${path}`);
    }
    const plans: Plan[] = [];
    for (const backend of backends) plans.push(await backend.uninstall(deps));
    const due = plans.filter(({ steps }) => steps.length > 0);
    if (due.length === 0) {
      stdout.write('nothing is installed\n');
      return;
    }
    for (const plan of due) stdout.write(planText(plan));
    await needRoot('uninstall', ['uninstall', ...(given ? ['--backend', given.name] : [])]);
    for (const plan of due) {
      await applyPlan(deps, plan);
      stdout.write(`uninstalled: ${plan.backend}\n`);
    }
  });

  // What is none of its commands comes to its own action, with all that stands behind.
  dns.allowExcessArguments().allowUnknownOption();

  async function needRoot(name: string, args: readonly string[]): Promise<void> {
    if (await deps.isRoot()) return;
    const command = [...deps.self, 'dns', ...args] as const;
    const [whom, how] =
      deps.platform === 'win32'
        ? ['an administrator', `in a PowerShell of an administrator: ${powerShellText(command)}`]
        : ['root', `sudo ${commandText(command)}`];
    throw refused(`dns ${name}: needs ${whom}, nothing was done; run ${how}`);
  }

  function backendFor(flags: Readonly<Record<string, unknown>>): Backend | undefined {
    const given = flagLayer(BACKEND_SETTINGS, flags).backend;
    if (given === undefined) return undefined;
    const platforms = platformsOf(given.value);
    if (platforms.includes(deps.platform)) return backendNamed(given.value);
    throw new PodsocksError(
      'ERR_USAGE',
      `${given.from}: ${given.value} is for ${platforms.join()}, this is ${deps.platform}`,
    );
  }
}

function backendNamed(name: BackendName): Backend {
  return ALL.find(backend => backend.name === name)!;
}

function platformsOf(name: BackendName): readonly NodeJS.Platform[] {
  return name === 'resolver' ? ['darwin'] : name === 'nrpt' ? ['win32'] : ['linux'];
}

function alreadyInstalled(plan: Plan, wanted: Wanted): string {
  return `already installed: ${summary(plan, wanted)}`;
}

function summary({ backend }: Plan, { zones, server }: Wanted): string {
  return `${backend} sends ${zones.join(', ')} to ${formatTarget(server)}`;
}

/** So that root, who may find another ss-local or none, does what was shown. */
function flagsFor({ zones, server }: Wanted): string[] {
  return [...zones.flatMap(zone => ['--zone', zone]), '--server', formatTarget(server)];
}
