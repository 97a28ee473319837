import type { Endpoint } from '@podsocks/shared/net/listener';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { launch, printWarnings, runProgram, type Surroundings } from '@podsocks/shared/runtime/lifecycle';
import type { Logger } from '@podsocks/shared/runtime/log';
import { summary } from '@podsocks/shared/settings/common-config';
import { carriesTcp, carriesUdp } from '@podsocks/shared/settings/mode';
import { createProgram } from '@podsocks/shared/settings/program';
import { formatTarget } from '@podsocks/shared/wire/address';
import type { Command } from 'commander';
import type { RunningClient } from './client.ts';
import { CLIENT_SETTINGS, type ClientConfig, loadClient } from './config.ts';
import { describeRoutes } from './routing/fields.ts';
import { formatDocumentUrl } from './servers/document-url.ts';
import { formatUpstream } from './servers/upstream/upstream.ts';
import type { Server } from './servers.ts';
import { checklist } from './status/checklist.ts';
import { addSubcommands } from './subcommands.ts';
import { isServerUrl, withoutUrlsAhead } from './url-ahead.ts';

const NAME = 'ss-local';

const HELP = `
Examples:
  ss-local "ss://…"                          a URL that ss-server url has printed
  ss-local "ss://…" --dns -L 5432:db.default:5432
  ss-local -s node.example.com -p 30888 --password-file key
  ss-local -c servers.json                   several servers
  ss-local run -- curl http://web.default/   a program whose connections go through it
  ss-local "ss://…" doctor web.default:80    what works on the way there, and what does not

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
  client: ClientProgram,
): Promise<number> {
  const silently = { ...surroundings, stdout: { write: () => true } };
  const given = argv.some(isServerUrl)
    ? withoutUrlsAhead(commandLine(argv, env, silently, client).program, argv)
    : { argv, urls: [] };
  const { program, exitCode } = commandLine(given.argv, env, surroundings, client);
  if (given.urls.length > 0) program.setOptionValue('url', given.urls);
  return (await runProgram(program, given.argv, surroundings)) || exitCode();
}

function commandLine(
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  surroundings: Surroundings,
  { version, start, self }: ClientProgram,
): { readonly program: Command; readonly exitCode: () => number } {
  const { stdout } = surroundings;
  const about = { name: NAME, version, summary: 'SOCKS and HTTP proxy into a Kubernetes cluster, through ss-server.' };
  const program = createProgram(about, CLIENT_SETTINGS, stdout).addHelpText('after', HELP);
  let exitCode = 0;

  program.action(async (url: string | readonly string[] | undefined) => {
    if ([url ?? []].flat().some(text => MISSPELT.test(text))) throw noSubcommand(program);
    const loaded = loadClient({ ...program.opts(), url }, env);
    if (program.opts().check) {
      printWarnings(NAME, loaded, surroundings);
      stdout.write(summary(NAME, describe(loaded.config), loaded.config));
      return;
    }
    exitCode = await launch(NAME, loaded, surroundings, async log => {
      const running = await start(loaded.config, { log, version });
      if (loaded.logLevel !== 'silent') void running.found().then(facts => facts && stdout.write(checklist(facts)));
      return running;
    });
  });
  addSubcommands(program, {
    env,
    argv,
    surroundings,
    self,
    start: (config, { log }) => start(config, { log, version }),
    setExitCode(code) {
      exitCode = code;
    },
  });
  return { program, exitCode: () => exitCode };
}

/** What no part of a URL looks like. */
const MISSPELT = /^[a-z]+(-[a-z]+)?$/;

/** Quotes nothing: it may be a password in the wrong place. */
function noSubcommand({ commands }: Command): PodsocksError {
  const names = commands.map(command => command.name()).join(', ');
  return new PodsocksError('ERR_USAGE', `an argument is neither an ss:// URL nor one of the subcommands: ${names}`);
}

type Row = [label: string, value: string];

function describe(config: ClientConfig): Row[] {
  const { listen, servers, document, socksUsers, connectReply, mode, udpOverTcp, udpAdvertise, udpPorts } = config;
  const { dns, lan } = config;
  return [
    ['listen', listed(listen)],
    ...servers.map((server): Row => ['server', describeServer(server)]),
    ...(document
      ? ([['server list', document.kind === 'url' ? formatDocumentUrl(document.url) : document.path]] as Row[])
      : []),
    ['upstream', config.upstream === undefined ? 'none' : formatUpstream(config.upstream)],
    ['preconnected', `${config.preconnect}`],
    ...(carriesUdp(mode)
      ? ([
          ['UDP', udpOverTcp ? 'inside of TCP connections' : 'as datagrams'],
          ['UDP address', udpAdvertise ?? 'the one that a client has connected to'],
          ['UDP ports', udpPorts === undefined ? 'any' : `${udpPorts.from}-${udpPorts.to}`],
        ] as Row[])
      : []),
    ...describeRoutes(config.route),
    ...config.forwards.map(
      (to): Row => ['forward', `${formatTarget(to.listen)}/${to.protocol} to ${formatTarget(to.target)}`],
    ),
    ...config.maps.map((to): Row => ['map', formatTarget(to)]),
    ['local DNS', dns === undefined ? 'off' : listed(dns.listen)],
    ...(dns
      ? ([
          ['cluster DNS', dns.servers.length > 0 ? listed(dns.servers) : 'as the server says'],
          ['DNS zones', ['as the server says', ...dns.zones].join(', ')],
          ['DNS upstream', dns.upstreams.length > 0 ? listed(dns.upstreams) : "the system's"],
        ] as Row[])
      : []),
    ...(lan ? ([['other machines', `${lan.allow.join(', ')}; ${lan.maxPerClient} connections each`]] as Row[]) : []),
    ['SOCKS users', socksUsers.map(user => user.username).join(', ') || 'everybody who reaches the port'],
    ...(carriesTcp(mode)
      ? ([
          ['connect reply', connectReply === 'auto' ? 'once the target is reached, if the server tells' : 'at once'],
        ] as Row[])
      : []),
  ];
}

/** The options of a plugin may hold secrets. */
function describeServer({ host, port, method, name, plugin }: Server): string {
  const options = plugin?.options === undefined ? '' : ', with options';
  const through = plugin === undefined ? '' : `, through ${plugin.command}${options}`;
  return `${formatTarget({ host, port })} ${method.name}${name ? ` (${name})` : ''}${through}`;
}

function listed(endpoints: readonly Endpoint[]): string {
  return endpoints.map(formatTarget).join(', ');
}
