import { isIPv4 } from 'node:net';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { formatTarget } from '@podsocks/shared/wire/address';
import { powerShellQuoted } from '../shell-quoting.ts';
import type { Backend } from './backend.ts';
import type { Plan, Step, Wanted } from './plan.ts';
import { type DnsSystem, powerShell, refused } from './system.ts';

/** Marks the rule that is ours, as files have it in their first line. */
const COMMENT = 'Written by ss-local dns install; ss-local dns uninstall removes it';

const LIST = [
  'ConvertTo-Json -Compress -Depth 3 -InputObject @(Get-DnsClientNrptRule | Select-Object Name, Comment,',
  "Namespace, @{ n = 'NameServers'; e = { $_.NameServers | ForEach-Object ToString } })",
].join(' ');

const FORGET = 'Clear-DnsClientCache';

/** A rule of Windows' Name Resolution Policy Table. */
interface Rule {
  readonly Name: string;
  readonly Comment: string | null;
  readonly Namespace: readonly string[];
  readonly NameServers: readonly string[];
}

/** A list of one is mostly printed as the one. */
type Listed = Omit<Rule, 'Namespace' | 'NameServers'> &
  Readonly<Record<'Namespace' | 'NameServers', string | readonly string[] | null>>;

/** Windows: one rule for all zones, so that there is no moment with some of them. */
export const nrpt: Backend = {
  name: 'nrpt',

  async install(system, wanted) {
    const { server, from } = wanted;
    if (server.port !== 53 || !isIPv4(server.host)) {
      throw new PodsocksError(
        'ERR_CONFIG',
        `${from}: is ${formatTarget(server)}, and rules of Windows (NRPT) have no port: it has to be 53 of an IPv4 address; ` +
          'start ss-local with --dns 127.53.53.53:53, and give --server 127.53.53.53:53',
      );
    }
    const rules = await rulesOf(system);
    const namespaces = wanted.zones.map(zone => `.${zone}`);
    const taken = rules.find(
      rule => rule.Comment !== COMMENT && rule.Namespace.some(each => namespaces.includes(each)),
    );
    if (taken !== undefined) {
      throw refused(`the NRPT rule ${taken.Name} for ${taken.Namespace.join(', ')} is there already, and not ours`);
    }
    const own = rules.filter(rule => rule.Comment === COMMENT);
    if (own.length === 1 && isSame(own[0]!.Namespace, namespaces) && isSame(own[0]!.NameServers, [server.host])) {
      return plan([]);
    }
    return plan([...own.map(removal), addition(namespaces, wanted)]);
  },

  async uninstall(system) {
    return plan((await rulesOf(system)).filter(rule => rule.Comment === COMMENT).map(removal));
  },

  foreign: () => [],
};

function plan(changes: readonly Step[]): Plan {
  const forget = powerShell(FORGET);
  const steps: Step[] = changes.length > 0 ? [...changes, { do: 'run', command: forget }] : [];
  return { backend: 'nrpt', steps, settle: [forget] };
}

function addition(namespaces: readonly string[], { server }: Wanted): Step {
  return {
    do: 'run',
    command: powerShell(addScript(namespaces, [server.host])),
    undo: powerShell(
      `Get-DnsClientNrptRule | Where-Object Comment -eq ${powerShellQuoted(COMMENT)} | Remove-DnsClientNrptRule -Force`,
    ),
  };
}

function removal({ Name, Namespace, NameServers }: Rule): Step {
  return {
    do: 'run',
    command: powerShell(`Remove-DnsClientNrptRule -Name ${powerShellQuoted(Name)} -Force`),
    undo: powerShell(addScript(Namespace, NameServers)),
  };
}

function addScript(namespaces: readonly string[], servers: readonly string[]): string {
  const list = (items: readonly string[]) => items.map(powerShellQuoted).join(', ');
  return `Add-DnsClientNrptRule -Namespace ${list(namespaces)} -NameServers ${list(servers)} -Comment ${powerShellQuoted(COMMENT)}`;
}

function isSame(some: readonly string[], others: readonly string[]): boolean {
  return some.length === others.length && some.every(each => others.includes(each));
}

async function rulesOf(system: DnsSystem): Promise<readonly Rule[]> {
  const { code, stdout, stderr } = await system.run(powerShell(LIST));
  if (code !== 0) throw refused(`cannot list the rules of Windows (NRPT): ${stderr.trim().slice(0, 300)}`);
  try {
    const listed = JSON.parse(stdout.trim() || '[]') as Listed | readonly Listed[] | null;
    return [listed ?? []].flat().map(rule => ({
      ...rule,
      Namespace: [rule.Namespace ?? []].flat(),
      NameServers: [rule.NameServers ?? []].flat(),
    }));
  } catch {
    throw refused('cannot list the rules of Windows (NRPT): PowerShell has printed no JSON');
  }
}
