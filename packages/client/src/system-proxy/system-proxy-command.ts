import type { Endpoint } from '@podsocks/shared/net/listener';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import type { Surroundings } from '@podsocks/shared/runtime/lifecycle';
import { addSettings } from '@podsocks/shared/settings/program';
import { flagLayer, type Settings, several, single, toggle } from '@podsocks/shared/settings/settings';
import { asText, oneOf } from '@podsocks/shared/settings/values';
import { formatTarget } from '@podsocks/shared/wire/address';
import type { Command } from 'commander';
import { DESKTOPS, type Desktop, groupsIn, type ProxyKind } from './desktop.ts';
import { desktopNamed, detectDesktop, type Machine, statePath } from './detect.ts';
import { failure } from './run-command.ts';
import { askInstance, type FetchStatus } from './running-instance.ts';
import { StateFile } from './state-file.ts';
import { changedSince, type SwitchOptions, shown, switchOff, switchOn } from './switch.ts';

const DESKTOP_SETTINGS = {
  desktop: single(
    { flags: '--desktop <name>' },
    `whose settings: ${DESKTOPS.join(', ')} (default: those of this system)`,
    oneOf(DESKTOPS),
  ),
} satisfies Settings;

const SERVICE_SETTINGS = {
  service: several(
    { flags: '--service <name>' },
    'network service on macOS, may be repeated (default: all that are not disabled)',
    asText,
  ),
} satisfies Settings;

const SWITCH_SETTINGS = { dryRun: toggle('--dry-run', 'print the commands, and run none that changes anything') };

const ON_SETTINGS = {
  pac: toggle('--pac', 'by the script that ss-local offers, which takes only what is for the cluster (default)'),
  socks: toggle('--socks', 'as the SOCKS proxy for everything'),
  ...DESKTOP_SETTINGS,
  ...SERVICE_SETTINGS,
  ...SWITCH_SETTINGS,
  force: toggle('--force', 'also if no ss-local answers'),
} satisfies Settings;

const OFF_SETTINGS = {
  ...DESKTOP_SETTINGS,
  ...SWITCH_SETTINGS,
  force: toggle('--force', 'also over what somebody has set since'),
} satisfies Settings;

type Environment = Readonly<Record<string, string | undefined>>;

/** What a running ss-local is found by, and the machine. */
export interface SystemProxyDeps {
  readonly machine: Machine;
  readonly localEndpoint: (flags: Readonly<Record<string, unknown>>, env: Environment) => Endpoint;
  readonly fetchStatus: FetchStatus;
  readonly now: () => Date;
}

/** Adds `system-proxy on`, `off` and `status`. The settings of the program say where ss-local listens. */
export function addSystemProxyCommands(
  program: Command,
  env: Environment,
  { stdout, stderr }: Surroundings,
  deps: SystemProxyDeps,
): void {
  const systemProxy = program
    .command('system-proxy')
    .description("the system's proxy settings: see system-proxy --help");
  systemProxy.helpCommand(false).action(() => {
    const [word] = systemProxy.args;
    const wrong = word === undefined || word.startsWith('-') ? '' : `there is no ${JSON.stringify(word)}; `;
    throw new PodsocksError('ERR_USAGE', `system-proxy: ${wrong}say what to do: ss-local system-proxy on|off|status`);
  });
  const print = (line: string) => void stdout.write(`${line}\n`);
  const warn = (message: string) => void stderr.write(`${program.name()}: warning: ${message}\n`);

  const file = new StateFile(statePath(deps.machine, env));
  const endpoint = () => deps.localEndpoint(program.opts(), env);
  /** Without a flag: that whose settings are changed, if any are, else that of this session. */
  const desktopOf = (parsed: Readonly<Record<string, unknown>>, isChanged: boolean): Desktop => {
    const { desktop, service } = flagLayer({ ...DESKTOP_SETTINGS, ...SERVICE_SETTINGS }, parsed);
    const changed = isChanged ? file.read()?.desktop : undefined;
    const name = desktop?.value ?? changed ?? detectDesktop(deps.machine, env);
    return desktopNamed(name, deps.machine, env, service?.value ?? []);
  };
  const optionsOf = (desktop: Desktop, { dryRun }: Readonly<Record<string, unknown>>): SwitchOptions => ({
    ...{ desktop, file, print, warn, run: deps.machine.run },
    dryRun: dryRun === true,
  });

  const on = systemProxy.command('on').description("make ss-local the system's proxy, and remember what was there");
  addSettings(on, ON_SETTINGS);
  on.action(async () => {
    const parsed = on.opts();
    if (parsed.pac && parsed.socks) throw new PodsocksError('ERR_USAGE', '--pac and --socks: leave one of them out');
    const kind: ProxyKind = parsed.socks ? 'socks' : 'pac';
    const desktop = desktopOf(parsed, false);
    const at = endpoint();
    const { answers, asks, status } = await askInstance(at, deps.fetchStatus);
    if (!answers && !parsed.force) throw nobodyAnswers(at);
    if (asks) warn(ASKS);
    if (kind === 'socks' && desktop.name === 'windows') warn(SOCKS4);
    const domains = status?.route.domains.length ? status.route.domains : ['cluster.local'];
    const options = optionsOf(desktop, parsed);
    await switchOn({ kind, ...at, domains }, deps.now().toISOString(), options);
    if (options.dryRun) return print('nothing was changed');
    print(
      `the proxy of ${desktop.name} is ${kind === 'pac' ? `http://${formatTarget(at)}/proxy.pac` : `SOCKS at ${formatTarget(at)}`}`,
    );
    print('to put back what was there before: ss-local system-proxy off');
  });

  const off = systemProxy.command('off').description('put back what was there before');
  addSettings(off, OFF_SETTINGS);
  off.action(async () => {
    const parsed = off.opts();
    if (file.read() === undefined) {
      print(`is not on (there is no ${file.path}): nothing was changed`);
      return;
    }
    const options = optionsOf(desktopOf(parsed, true), parsed);
    const isDone = await switchOff(parsed.force === true, options);
    if (!isDone)
      throw failure('system-proxy: left as somebody has set it since; to put back what was there: off --force');
    print(options.dryRun ? 'nothing was changed' : `the proxy of ${options.desktop.name} is as it was before`);
  });

  const status = systemProxy.command('status').description('say what is set, by whom, and whether ss-local answers');
  addSettings(status, DESKTOP_SETTINGS);
  status.action(async () => {
    const desktop = desktopOf(status.opts(), true);
    const state = file.read();
    const isOurs = state?.desktop === desktop.name;
    const changed = isOurs ? await desktop.read(groupsIn(desktop, state.ours)) : {};
    const current = { ...(await desktop.read()), ...changed };
    const at = endpoint();
    const { answers } = await askInstance(at, deps.fetchStatus);
    const theirs = isOurs ? changedSince(current, state) : {};
    print(`${desktop.name}: ${isOurs ? `on (${state.kind}), since ${state.since}` : 'not switched on by ss-local'}`);
    for (const [key, value] of Object.entries(current)) {
      const since = Object.hasOwn(theirs, key) ? ' (changed since)' : '';
      const was = isOurs && Object.hasOwn(state.before, key) ? `, before: ${shown(state.before[key]!)}` : '';
      print(`  ${key}: ${shown(value)}${since}${was}`);
    }
    print(`${formatTarget(at)}: ${answers ? 'ss-local answers' : 'no ss-local answers'}`);
  });

  // What is none of its commands comes to its own action, with all that stands behind.
  systemProxy.allowExcessArguments().allowUnknownOption();
}

const ASKS =
  'ss-local asks for a user name and a password, and the settings of a system have no place for them: ' +
  'programs will ask, or fail; start ss-local without for this, listening on 127.0.0.1 only';

const SOCKS4 =
  'Windows speaks SOCKS4 to this proxy and looks names up itself, so names of the cluster are not found; leave out --socks';

function nobodyAnswers(at: Endpoint): PodsocksError {
  const mend = 'start it first (or say where it listens: -b, -l, -c), or give --force';
  return failure(`system-proxy: no ss-local answers at ${formatTarget(at)}, so nothing would be reached; ${mend}`);
}
