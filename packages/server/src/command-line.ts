import { randomBytes } from 'node:crypto';
import { DEFAULT_METHOD, methodNamed } from '@podsocks/shared/crypto/methods';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { launch, printWarnings, type Running, runProgram, type Surroundings } from '@podsocks/shared/runtime/lifecycle';
import type { Logger } from '@podsocks/shared/runtime/log';
import { summary } from '@podsocks/shared/settings/common-config';
import { carriesUdp } from '@podsocks/shared/settings/mode';
import { addSettings, createProgram } from '@podsocks/shared/settings/program';
import { envLayer, flagLayer, type Settings } from '@podsocks/shared/settings/settings';
import { formatTarget } from '@podsocks/shared/wire/address';
import { type LoadedServer, loadServer, SERVER_SETTINGS, type ServerConfig } from './config.ts';
import { POLICY_TEST_SETTINGS, testPolicy } from './policy-test.ts';
import { resolverOf } from './server-resolver.ts';
import { missingHost, publicServer, serverUrl, URL_SETTINGS, userUrl } from './server-url.ts';
import { addUserCommands } from './users/user-command.ts';

const NAME = 'ss-server';

const GENKEY_SETTINGS = { method: SERVER_SETTINGS.method } satisfies Settings;

const HELP = `
Examples:
  (umask 077; ss-server genkey > key)
  ss-server --password-file key
  ss-server url --password-file key --host node.example.com --port 30888

Flags win over the environment, the environment over the file, the file over defaults.`;

/** What the command line runs; `start` is startServer or startWorkers. */
export interface ServerProgram {
  readonly version: string;
  readonly start: (config: ServerConfig, deps: { readonly log: Logger }) => Promise<Running>;
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * The command line of ss-server.
 *
 * @param argv without node and script.
 * @returns the exit code: 0 fine, 1 failed while running, 2 wrong usage or configuration.
 */
export async function main(
  argv: readonly string[],
  env: Environment,
  surroundings: Surroundings,
  { version, start }: ServerProgram,
): Promise<number> {
  const { stdout } = surroundings;
  const about = { name: NAME, version, summary: 'Shadowsocks server for a Kubernetes cluster.' };
  const program = createProgram(about, SERVER_SETTINGS, stdout).addHelpText('after', HELP);
  let exitCode = 0;

  program.action(async () => {
    const loaded = loadServer(program.opts(), env);
    if (program.opts().check) {
      printWarnings(NAME, loaded, surroundings);
      stdout.write(summary(NAME, describe(loaded.config), loaded.config));
      return;
    }
    exitCode = await launch(NAME, loaded, surroundings, log => start(loaded.config, { log }));
  });

  const genkey = program.command('genkey').description('print a new key (2022 methods) or password');
  addSettings(genkey, GENKEY_SETTINGS);
  genkey.action(() => {
    stdout.write(`${newPassword(program.opts(), env)}\n`);
  });

  const url = program.command('url').description('print the ss:// URLs for clients, one per user; they hold the keys');
  addSettings(url, URL_SETTINGS);
  url.addHelpText('after', '\nThe settings of ss-server (see: ss-server --help) say which server.');
  url.action(() => {
    const loaded = loadServer(program.opts(), env);
    printWarnings(NAME, loaded, surroundings);
    for (const line of urls(loaded, url.opts())) stdout.write(`${line}\n`);
  });

  addUserCommands(program, env, surroundings);

  const policy = program.command('policy').description('what the policy says: see policy test').helpCommand(false);
  policy.action(() => {
    throw new PodsocksError('ERR_USAGE', 'policy: there is one thing to do with it: ss-server policy test <host:port>');
  });
  const policyTest = policy.command('test').description('say who may go where, and why; exit code 1 if not');
  policyTest.argument('<host:port>', 'target, as a client would ask for it');
  addSettings(policyTest, POLICY_TEST_SETTINGS);
  policyTest.action(async (target: string) => {
    const loaded = loadServer(program.opts(), env);
    printWarnings(NAME, loaded, surroundings);
    const given = flagLayer(POLICY_TEST_SETTINGS, policyTest.opts());
    const resolver = resolverOf(loaded.config);
    const asked = { target, user: given.user?.value, protocol: given.protocol?.value };
    const { text, allowed } = await testPolicy(loaded.config, resolver, asked).finally(() => resolver.close());
    stdout.write(text);
    exitCode = allowed ? 0 : 1;
  });

  return (await runProgram(program, argv, surroundings)) || exitCode;
}

function describe(config: ServerConfig): [label: string, value: string][] {
  const { listen, method, bindAddress, workers, mode, udpMaxAssociations, udpTimeout } = config;
  const { nameservers, dnsSearch, dnsNdots, policy, audit, proxyProtocol, admin, plugin } = config;
  return [
    ['listen', listen.map(formatTarget).join(', ')],
    ['method', method.name],
    ['users', describeUsers(config)],
    ['leaves from', Object.values(bindAddress ?? {}).join(', ') || 'any address'],
    ['policy', `rules: ${policy.rules.length}, default: ${policy.default}`],
    ['DNS servers', nameservers?.map(formatTarget).join(', ') ?? 'those of /etc/resolv.conf'],
    ['DNS search', `${dnsSearch?.join(', ') ?? 'as /etc/resolv.conf says'}`],
    ['DNS ndots', `${dnsNdots ?? 'as /etc/resolv.conf says'}`],
    ['admin', admin === undefined ? 'off' : formatTarget(admin)],
    ['audit', audit === undefined ? 'off' : audit === '-' ? 'standard output' : audit],
    ['PROXY protocol', proxyProtocol ? 'expected of every TCP connection' : 'off'],
    [
      'plugin',
      plugin === undefined ? 'none' : `${plugin.command}${plugin.options === undefined ? '' : ', with options'}`,
    ],
    ['workers', `${workers}`],
    ...(carriesUdp(mode)
      ? ([
          ['UDP associations', `${udpMaxAssociations ?? 'as many as open files allow'}`],
          ['UDP idle timeout', `${udpTimeout / 1000} s`],
        ] as [string, string][])
      : []),
  ];
}

function describeUsers({ users, usersPath }: ServerConfig): string {
  const names = users.map(user => user.name);
  if (usersPath === undefined) return names.join(', ') || 'one password for all';
  const some = names.length > MOST_SHOWN ? [...names.slice(0, MOST_SHOWN), '…'] : names;
  return `${names.length} in ${usersPath}${names.length > 0 ? `: ${some.join(', ')}` : ''}`;
}

/** Names on a line. */
const MOST_SHOWN = 20;

/** SIP022 takes a key of one length; the password of SIP004 is text, in which 32 random bytes are beyond guessing. */
function newPassword(parsed: Readonly<Record<string, unknown>>, env: Environment): string {
  if (Object.keys(parsed).some(name => name !== 'method')) {
    throw new PodsocksError('ERR_USAGE', 'genkey takes -m (--method) only; leave out the other flags');
  }
  const given = { ...envLayer(GENKEY_SETTINGS, env), ...flagLayer(GENKEY_SETTINGS, parsed) };
  const method = given.method?.value ?? methodNamed(DEFAULT_METHOD);
  return randomBytes(method.generation === 'sip022' ? method.keyBytes : 32).toString('base64');
}

/** One URL for each user, and for the one whose password is the server's. */
function urls({ config, secrets }: LoadedServer, parsed: Readonly<Record<string, unknown>>): string[] {
  const server = publicServer('url', { ...config, port: config.listen[0]!.port }, parsed);
  if (server === undefined) throw missingHost('url');
  if (secrets.users.length === 0 && config.usersPath === undefined) return [serverUrl(server, secrets.password!)];
  return secrets.users.map(user => userUrl(server, user, secrets.password));
}
