import type { Backend } from './backend.ts';
import { fileSteps } from './own-files.ts';
import type { Plan, Wanted } from './plan.ts';
import type { DnsSystem } from './system.ts';

/** macOS has a file for each zone, of that name (resolver(5)), and notices by itself what changes there. */
const OWN = { folder: '/etc/resolver' };

export const resolverFiles: Backend = {
  name: 'resolver',
  install: async (system, wanted) =>
    plan(system, new Map(wanted.zones.map(zone => [zone, resolverText(wanted)] as const))),
  uninstall: async system => plan(system, new Map()),
  foreign: () => [],
};

function plan(system: DnsSystem, wanted: ReadonlyMap<string, string>): Plan {
  return { backend: 'resolver', steps: fileSteps(system, OWN, wanted), settle: [] };
}

function resolverText({ server }: Wanted): string {
  return `nameserver ${server.host}\nport ${server.port}\n`;
}
