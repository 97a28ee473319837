import { isIPv6 } from 'node:net';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { formatTarget } from '@podsocks/shared/wire/address';
import type { Backend } from './backend.ts';
import { fileSteps, foreignFiles, isPresent } from './own-files.ts';
import type { Plan, Step, Wanted } from './plan.ts';
import { type Command, type DnsSystem, refused } from './system.ts';

/*
 * systemd-resolved sends a name to the servers whose routing domain (~zone) matches it best. Such a domain belongs to the
 * global servers, to a network link, or from version 258 on to a delegate; what matches none goes to all global servers,
 * and to those of every link that is a default route, in parallel (systemd-resolved.service(8), "Protocols and Routing").
 * So DNS= and Domains=~zone in resolved.conf.d, which many guides have, would give ss-local every other name, too. And `lo`,
 * where the server is, takes no servers of its own. What remains is a delegate, and before there were any, a link of ours
 * that carries nothing but these settings.
 */

const DELEGATE = { folder: '/etc/systemd/dns-delegate.d', name: 'podsocks.dns-delegate' };
const UNIT = { folder: '/etc/systemd/system', name: 'podsocks-dns.service' };
const LINK = 'podsocks0';

/** Of 258, which brought delegates, manual and sources differ about the folder's name. */
const DELEGATES_SINCE = 259;

/** Before it there are no ports (Ubuntu 20.04 has 245). */
const PORTS_SINCE = 246;

/** Before it a link's servers were asked through that link, even those on loopback (Ubuntu 22.04 has 249). */
const LOOPBACK_SINCE = 253;

/** "IPv4 dummy address" (RFC 7600): a link without any address is not asked for names. */
const LINK_ADDRESS = '192.0.0.8/32';

const LOOPBACK = /^(127\.|::1$)/;

const RELOAD_UNITS: Command = ['systemctl', 'daemon-reload'];
const RELOAD_RESOLVED: Command = ['systemctl', 'reload', 'systemd-resolved.service'];
const unit = (...verb: readonly string[]): Command => ['systemctl', ...verb, UNIT.name];

export const systemdResolved: Backend = {
  name: 'systemd-resolved',

  async install(system, wanted) {
    const version = await versionOf(system);
    if (version < PORTS_SINCE && wanted.server.port !== 53) {
      throw refused(
        `systemd-resolved ${version} cannot ask at a port other than 53; give ss-local port 53 of a loopback address`,
      );
    }
    if (/^127\.0\.0\.5[34]$/.test(wanted.server.host)) {
      const mend = 'give ss-local another, such as --dns 127.0.0.1:5354';
      throw new PodsocksError('ERR_CONFIG', `${wanted.from}: is the address of systemd-resolved itself; ${mend}`);
    }
    const hasDelegates = version >= DELEGATES_SINCE;
    if (!hasDelegates && !LOOPBACK.test(wanted.server.host)) {
      const why = `systemd-resolved ${version} would ask it through a link that leads nowhere`;
      throw refused(
        `${wanted.from}: ${wanted.server.host} is no loopback address, and ${why}; give one of 127.0.0.0/8 or ::1`,
      );
    }
    return plan([
      await linkPlan(system, hasDelegates ? undefined : unitText(wanted, version)),
      delegatePlan(system, hasDelegates ? delegateText(wanted) : undefined),
    ]);
  },

  async uninstall(system) {
    return plan([await linkPlan(system, undefined), delegatePlan(system, undefined)]);
  },

  foreign: system => [...foreignFiles(system, UNIT), ...foreignFiles(system, DELEGATE)],
};

type Part = Pick<Plan, 'steps' | 'settle'>;

function plan(parts: readonly Part[]): Plan {
  return {
    backend: 'systemd-resolved',
    steps: parts.flatMap(part => part.steps),
    settle: parts.flatMap(part => (part.steps.length > 0 ? part.settle : [])),
  };
}

function delegatePlan(system: DnsSystem, text: string | undefined): Part {
  const files = fileSteps(system, DELEGATE, new Map(text === undefined ? [] : [[DELEGATE.name, text]]));
  const reload: Step[] = files.length > 0 ? [{ do: 'run', command: RELOAD_RESOLVED }] : [];
  return { steps: [...files, ...reload], settle: [RELOAD_RESOLVED] };
}

function delegateText({ zones, server }: Wanted): string {
  return `[Delegate]\nDNS=${formatTarget(server)}\nDomains=${routing(zones)}\n`;
}

async function linkPlan(system: DnsSystem, text: string | undefined): Promise<Part> {
  const files = fileSteps(system, UNIT, new Map(text === undefined ? [] : [[UNIT.name, text]]));
  const reload: Step[] = files.length > 0 ? [{ do: 'run', command: RELOAD_UNITS }] : [];
  if (text === undefined) {
    // systemctl has to know the unit while it stops it, and that takes the link away.
    const stop: Step[] =
      files.length > 0 ? [{ do: 'run', command: unit('disable', '--now'), undo: unit('enable', '--now') }] : [];
    return { steps: [...stop, ...files, ...reload], settle: [RELOAD_UNITS] };
  }
  const isNew = !isPresent(system, UNIT);
  const isUp = files.length === 0 && (await isIn(system, 'is-enabled')) && (await isIn(system, 'is-active'));
  if (isUp) return { steps: [], settle: [] };
  const start: Step[] = [
    { do: 'run', command: unit('enable'), ...(isNew && { undo: unit('disable') }) },
    { do: 'run', command: unit('restart'), ...(isNew && { undo: unit('stop') }) },
  ];
  return { steps: [...files, ...reload, ...start], settle: [RELOAD_UNITS, unit(isNew ? 'reset-failed' : 'restart')] };
}

async function isIn(system: DnsSystem, state: 'is-enabled' | 'is-active'): Promise<boolean> {
  return (await system.run(unit(state, '--quiet'))).code === 0;
}

/** A link disappears with the machine's next start, so it is a unit's to make. */
function unitText({ zones, server }: Wanted, version: number): string {
  const ownAddress = `${server.host}/${isIPv6(server.host) ? 128 : 32}`;
  const commands = [
    `ip link add ${LINK} type dummy`,
    `ip address add ${LINK_ADDRESS} dev ${LINK}`,
    ...(version < LOOPBACK_SINCE ? [`ip address add ${ownAddress} dev ${LINK} scope host`] : []),
    `ip link set ${LINK} up`,
    `resolvectl dns ${LINK} ${formatTarget(server)}`,
    `resolvectl domain ${LINK} ${routing(zones)}`,
    // Of what follows nothing shall come from the settings for all links: the zones are unsigned, and the server is ours.
    `resolvectl default-route ${LINK} no`,
    `resolvectl dnssec ${LINK} no`,
    `resolvectl dnsovertls ${LINK} no`,
    `resolvectl llmnr ${LINK} no`,
    `resolvectl mdns ${LINK} no`,
  ];
  return [
    '[Unit]',
    'Description=Names of the cluster go to the DNS server of ss-local',
    'After=systemd-resolved.service',
    'PartOf=systemd-resolved.service',
    '',
    '[Service]',
    'Type=oneshot',
    'RemainAfterExit=yes',
    ...commands.map(command => `ExecStart=${command}`),
    `ExecStopPost=-ip link delete ${LINK}`,
    // resolved may not have seen the link yet.
    'Restart=on-failure',
    'RestartSec=1',
    '',
    '[Install]',
    'WantedBy=multi-user.target',
    '',
  ].join('\n');
}

function routing(zones: readonly string[]): string {
  return zones.map(zone => `~${zone}`).join(' ');
}

async function versionOf(system: DnsSystem): Promise<number> {
  const { code, stdout, stderr } = await system.run(['resolvectl', '--version']);
  const [, version] = /^systemd (\d+)/.exec(stdout) ?? [];
  if (code === 0 && version !== undefined) return Number(version);
  throw refused(`systemd-resolved: cannot tell its version: ${stderr.trim() || 'resolvectl --version has none'}`);
}
