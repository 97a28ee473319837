import { launch, printWarnings, runProgram, type Surroundings } from '@podsocks/shared/runtime/lifecycle';
import type { Logger } from '@podsocks/shared/runtime/log';
import { summary } from '@podsocks/shared/settings/common-config';
import { carriesTcp, carriesUdp } from '@podsocks/shared/settings/mode';
import { createProgram } from '@podsocks/shared/settings/program';
import { formatTarget } from '@podsocks/shared/wire/address';
import type { RunningClient } from './client.ts';
import { CLIENT_SETTINGS, type ClientConfig, loadClient, loadLocal } from './config.ts';
import { addDnsCommands } from './dns-install/dns-command.ts';
import { thisSystem } from './dns-install/system.ts';
import { addDoctorCommand } from './doctor/doctor-command.ts';
import { openServers } from './doctor/open-servers.ts';
import { fetchStatus, localEndpoint } from './local-instance.ts';
import { addEnvCommand } from './programs/env-command.ts';
import { addRunCommand } from './programs/run-command.ts';
import { runSystem } from './programs/run-system.ts';
import { addProxifierCommand } from './proxifier/proxifier-command.ts';
import { describeRoutes } from './routing/fields.ts';
import { formatUpstream } from './servers/upstream/upstream.ts';
import { checklist } from './status/checklist.ts';
import { addStatusCommand } from './status/status-command.ts';
import { thisMachine } from './system-proxy/detect.ts';
import { addSystemProxyCommands } from './system-proxy/system-proxy-command.ts';

const NAME = 'ss-local';

const HELP = `
Examples:
  ss-local "ss://…"                          a URL that ss-server url has printed
  ss-local "ss://…" --dns -L 5432:db.default:5432
  ss-local -s node.example.com -p 30888 --password-file key
  ss-local -c servers.json                   several servers
  ss-local run -- curl http://web.default/   a program whose connections go through it
  ss-local doctor web.default:80             what works on the way there, and what does not

Flags win over the environment, the environment over the file, the file over defaults.`;

/** What the command line runs; `start` is startClient. */
export interface ClientProgram {
  readonly version: string;
  /** What starts it, for lines that are to be copied. */
  readonly self: readonly [string, ...string[]];
  readonly start: (
    config: ClientConfig,
    deps: { readonly log: Logger; readonly version: string },
  ) => Promise<RunningClient>;
}

/**
 * The command line of ss-local.
 *
 * @param argv without node and script.
 * @returns the exit code: 0 fine, 1 failed while running, 2 wrong usage or configuration.
 */
export async function main(
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  surroundings: Surroundings,
  { version, start, self }: ClientProgram,
): Promise<number> {
  const { stdout } = surroundings;
  const about = { name: NAME, version, summary: 'SOCKS5 port into a Kubernetes cluster, through ss-server.' };
  const program = createProgram(about, CLIENT_SETTINGS, stdout).addHelpText('after', HELP);
  let exitCode = 0;

  program.action(async (url: string | undefined) => {
    const loaded = loadClient({ ...program.opts(), url }, env);
    if (program.opts().check) {
      printWarnings(NAME, loaded, surroundings);
      stdout.write(summary(NAME, describe(loaded.config), loaded.config));
      return;
    }
    exitCode = await launch(NAME, loaded, surroundings, async log => {
      const running = await start(loaded.config, { log, version });
      if (loaded.logLevel !== 'silent') void running.found().then(facts => stdout.write(checklist(facts)));
      return running;
    });
  });

  const setExitCode = (code: number) => {
    exitCode = code;
  };
  const found = { localEndpoint, loadLocal, fetchStatus };
  addStatusCommand(program, env, surroundings, found);
  addDoctorCommand(program, env, surroundings, { openServers: async loaded => openServers(loaded), setExitCode });
  addEnvCommand(program, env, surroundings, { ...found, platform: process.platform });
  const starting = (config: ClientConfig, { log }: { readonly log: Logger }) => start(config, { log, version });
  const running = { ...found, loadClient, start: starting, argv, system: runSystem, exit: setExitCode };
  addRunCommand(program, env, surroundings, running);
  const machine = { machine: thisMachine(), now: () => new Date(), ...found };
  addSystemProxyCommands(program, env, surroundings, machine);
  addProxifierCommand(program, env, surroundings, { platform: process.platform, ...found });
  addDnsCommands(program, env, surroundings, {
    ...thisSystem(),
    fetchStatus(flags, environment) {
      const { endpoint, access } = loadLocal(flags, environment);
      return fetchStatus(endpoint, access);
    },
    self,
  });

  return (await runProgram(program, argv, surroundings)) || exitCode;
}

function describe(config: ClientConfig): [label: string, value: string][] {
  const { listen, servers, socksUsers, connectReply, mode, udpOverTcp, udpAdvertise, udpPorts } = config;
  return [
    ['listen', listen.map(formatTarget).join(', ')],
    ...servers.map((server): [string, string] => [
      'server',
      `${formatTarget(server)} ${server.method.name}${server.name ? ` (${server.name})` : ''}`,
    ]),
    ...(carriesUdp(mode)
      ? ([
          ['UDP', udpOverTcp ? 'inside of TCP connections' : 'as datagrams'],
          ['UDP address', udpAdvertise ?? 'the one that a client has connected to'],
          ['UDP ports', udpPorts === undefined ? 'any' : `${udpPorts.from}-${udpPorts.to}`],
        ] as [string, string][])
      : []),
    ...describeRoutes(config.route),
    ...config.forwards.map((to): [string, string] => [
      'forward',
      `${formatTarget(to.listen)}/${to.protocol} to ${formatTarget(to.target)}`,
    ]),
    ...config.maps.map((to): [string, string] => ['map', formatTarget(to)]),
    ['local DNS', config.dns?.listen.map(formatTarget).join(', ') ?? 'off'],
    ['upstream', config.upstream === undefined ? 'none' : formatUpstream(config.upstream)],
    ...(config.lan
      ? ([['other machines', `${config.lan.allow.join(', ')}; ${config.lan.maxPerClient} connections each`]] as [
          string,
          string,
        ][])
      : []),
    ['SOCKS users', socksUsers.map(user => user.username).join(', ') || 'everybody who reaches the port'],
    ...(carriesTcp(mode)
      ? ([
          ['connect reply', connectReply === 'auto' ? 'once the target is reached, if the server tells' : 'at once'],
        ] as [string, string][])
      : []),
  ];
}
