import { existsSync } from 'node:fs';
import type { Backend } from './backend.ts';
import { fileSteps, foreignFiles } from './own-files.ts';
import type { BackendName, Plan, Step, Wanted } from './plan.ts';
import { type Command, type DnsSystem, refused } from './system.ts';

/** The machine's dnsmasq, with a folder for pieces of its configuration, as Debian, Fedora and Arch have it. */
export const dnsmasq: Backend = dnsmasqIn({
  name: 'dnsmasq',
  folder: '/etc/dnsmasq.d',
  needsFolder: true,
  // It reads servers at its start only.
  restart: system =>
    existsSync(`${system.root}/run/systemd/system`)
      ? ['systemctl', 'restart', 'dnsmasq.service']
      : ['service', 'dnsmasq', 'restart'],
});

/** The dnsmasq that NetworkManager starts where its configuration says dns=dnsmasq. */
export const networkManager: Backend = dnsmasqIn({
  name: 'networkmanager',
  folder: '/etc/NetworkManager/dnsmasq.d',
  needsFolder: false,
  restart: () => ['nmcli', 'general', 'reload', 'dns-full'],
});

interface Instance {
  readonly name: BackendName;
  readonly folder: string;
  /** Whether nobody reads the folder where it is not there. */
  readonly needsFolder: boolean;
  restart(system: DnsSystem): Command;
}

function dnsmasqIn({ name, folder, needsFolder, restart }: Instance): Backend {
  const own = { folder, name: 'podsocks.conf' };
  const plan = (system: DnsSystem, text: string | undefined): Plan => {
    const files = fileSteps(system, own, new Map(text === undefined ? [] : [[own.name, text]]));
    const command = restart(system);
    const run: Step[] = files.length > 0 ? [{ do: 'run', command }] : [];
    return { backend: name, steps: [...files, ...run], settle: [command] };
  };
  return {
    name,
    install: async (system, wanted) => {
      if (needsFolder && !existsSync(system.root + folder)) {
        const mend = `make it, and say conf-dir=${folder} in /etc/dnsmasq.conf`;
        throw refused(`${folder}: is not there, so no dnsmasq seems to read it; ${mend}`);
      }
      return plan(system, confText(wanted));
    },
    uninstall: async system => plan(system, undefined),
    foreign: system => foreignFiles(system, own),
  };
}

function confText({ zones, server }: Wanted): string {
  const at = `${server.host}#${server.port}`;
  const forward = zones.filter(zone => !zone.endsWith('.arpa'));
  return [
    // Reverse zones too: rev-server= takes prefixes that are no whole bytes from version 2.86 on only (Debian 11 has 2.85).
    ...zones.map(zone => `server=/${zone}/${at}`),
    // Where stop-dns-rebind is set, private addresses are no answer otherwise.
    ...forward.map(zone => `rebind-domain-ok=/${zone}/`),
    '',
  ].join('\n');
}
