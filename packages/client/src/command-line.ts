import { launch, printWarnings, type Running, runProgram, type Surroundings } from '@podsocks/shared/runtime/lifecycle';
import type { Logger } from '@podsocks/shared/runtime/log';
import { summary } from '@podsocks/shared/settings/common-config';
import { carriesTcp, carriesUdp } from '@podsocks/shared/settings/mode';
import { createProgram } from '@podsocks/shared/settings/program';
import { formatTarget } from '@podsocks/shared/wire/address';
import { CLIENT_SETTINGS, type ClientConfig, loadClient } from './config.ts';

const NAME = 'ss-local';

const HELP = `
Examples:
  ss-local "ss://…"                          a URL that ss-server url has printed
  ss-local -s node.example.com -p 30888 --password-file key
  ss-local -c servers.json                   several servers

Flags win over the environment, the environment over the file, the file over defaults.`;

/** What the command line runs; `start` is startClient. */
export interface ClientProgram {
  readonly version: string;
  readonly start: (config: ClientConfig, deps: { readonly log: Logger }) => Promise<Running>;
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
  { version, start }: ClientProgram,
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
    exitCode = await launch(NAME, loaded, surroundings, log => start(loaded.config, { log }));
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
    ['SOCKS users', socksUsers.map(user => user.username).join(', ') || 'everybody who reaches the port'],
    ...(carriesTcp(mode)
      ? ([
          ['connect reply', connectReply === 'auto' ? 'once the target is reached, if the server tells' : 'at once'],
        ] as [string, string][])
      : []),
  ];
}
