import { writeFileSync } from 'node:fs';
import { formatNetwork, parseNetwork } from '@podsocks/shared/matching/network';
import type { Endpoint } from '@podsocks/shared/net/listener';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import type { Surroundings } from '@podsocks/shared/runtime/lifecycle';
import { addSettings } from '@podsocks/shared/settings/program';
import { flagLayer, located, type Settings, several, single } from '@podsocks/shared/settings/settings';
import { asText, oneOf } from '@podsocks/shared/settings/values';
import { formatTarget } from '@podsocks/shared/wire/address';
import type { Command } from 'commander';
import { askInstance, type FetchStatus } from '../system-proxy/running-instance.ts';
import { OWN_PROGRAMS, PROXIFIER_PLATFORMS, type ProxifierPlatform, proxifierProfile } from './profile.ts';
import { networkTarget } from './targets.ts';
import { isXmlText } from './xml.ts';

const PROXIFIER_SETTINGS = {
  app: several(
    { flags: '--app <names>' },
    'programs whose connections all go to ss-local, with semicolons between them; may be repeated',
    parseApps,
  ),
  network: several(
    { flags: '--network <cidr>' },
    'network of the cluster, may be repeated (default: those that the running ss-local tells)',
    parseNetwork,
  ),
  platform: single(
    { flags: '--platform <name>' },
    `what Proxifier runs on: ${PROXIFIER_PLATFORMS.join(' or ')} (default: this system)`,
    oneOf(PROXIFIER_PLATFORMS),
  ),
  output: single({ flags: '--output <file>' }, 'file to write (default: standard output)', asText),
} satisfies Settings;

type Environment = Readonly<Record<string, string | undefined>>;

/** What a running ss-local is found by, and the system. */
export interface ProxifierDeps {
  readonly platform: NodeJS.Platform;
  readonly localEndpoint: (flags: Readonly<Record<string, unknown>>, env: Environment) => Endpoint;
  readonly fetchStatus: FetchStatus;
}

/** Adds `proxifier`. The settings of the program say where ss-local listens. */
export function addProxifierCommand(
  program: Command,
  env: Environment,
  { stdout, stderr }: Surroundings,
  { platform: system, localEndpoint, fetchStatus }: ProxifierDeps,
): void {
  const proxifier = program.command('proxifier').description('print a profile for Proxifier (.ppx)');
  addSettings(proxifier, PROXIFIER_SETTINGS);
  const warn = (message: string) => void stderr.write(`${program.name()}: warning: ${message}\n`);

  proxifier.action(async () => {
    const { app, network, platform: given, output } = flagLayer(PROXIFIER_SETTINGS, proxifier.opts());
    const platform = given?.value ?? platformOf(system);
    const apps = app?.value ?? [];
    for (const name of apps.flat()) refuseOwn(name, platform);
    const proxy = localEndpoint(program.opts(), env);
    const { answers, asks, status } = await askInstance(proxy, fetchStatus);
    const route = status?.route;
    if (!answers) warn(`no ss-local answers at ${formatTarget(proxy)}: ${DEFAULTS}`);
    if (asks) warn(`ss-local asks for a user name and a password: ${ENTER}`);

    const networks = network?.value ?? (route?.networks ?? []).map(cidr => located('route', () => parseNetwork(cidr)));
    const targets = networks.map(networkTarget);
    const left = networks.filter((_, i) => targets[i] === undefined).map(formatNetwork);
    if (left.length > 0) warn(`left out, because Proxifier has no ranges of IPv6 addresses: ${left.join(', ')}`);
    if (networks.length === 0)
      warn('no network of the cluster is known, so only its names are reached; give --network');

    const text = proxifierProfile({
      ...{ platform, proxy, apps },
      domains: route?.domains.length ? route.domains : ['cluster.local', 'svc'],
      networks: targets.filter(target => target !== undefined),
    });
    if (output === undefined) stdout.write(text);
    else {
      written(output.value, text);
      stderr.write(`wrote ${output.value}; open it with Proxifier, or import it: File > Import Profile\n`);
    }
  });
}

const DEFAULTS = 'taking cluster.local and svc for its names; start it first, or say where it listens (-b, -l, -c)';
const ENTER = 'give Proxifier both, under Profile > Proxy Servers; they are not in the file';

function platformOf(system: NodeJS.Platform): ProxifierPlatform {
  if (system === 'win32') return 'windows';
  if (system === 'darwin') return 'macos';
  const mend = `say where it runs: --platform ${PROXIFIER_PLATFORMS.join('|')}`;
  throw new PodsocksError('ERR_USAGE', `proxifier: there is no Proxifier for this system; ${mend}`);
}

function parseApps(text: string): readonly string[] {
  const names = text
    .split(';')
    .map(name => name.trim().replace(/^"(.*)"$/, '$1'))
    .filter(name => name !== '');
  if (names.length > 0 && names.every(name => isXmlText(name) && !/["\r\n\t]/.test(name))) return names;
  throw new PodsocksError('ERR_CONFIG', 'is no list of programs; give names such as "java.exe; idea64.exe"');
}

/** It would be behind the rule that keeps ss-local from calling itself, and have no effect. */
function refuseOwn(name: string, platform: ProxifierPlatform): void {
  const base = name.split(/[\\/]/).at(-1)!.toLowerCase();
  if (!OWN_PROGRAMS[platform].includes(base)) return;
  const why = `ss-local runs as ${base}, and its own connections would come back to it`;
  throw new PodsocksError('ERR_USAGE', `--app: ${why}; leave it out, and start such programs with: ss-local run -- …`);
}

function written(path: string, text: string): void {
  try {
    writeFileSync(path, text);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new PodsocksError('ERR_USAGE', `--output: ${path} cannot be written (${code}); give another file`);
  }
}
