import { isIP } from 'node:net';
import type { Endpoint } from '@podsocks/shared/net/listener';
import { isWildcard, reachedAt } from '@podsocks/shared/net/wildcard';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { printable } from '@podsocks/shared/runtime/printable';
import { flagLayer, type Layer, type Settings, several, single } from '@podsocks/shared/settings/settings';
import { oneOf, parseHost } from '@podsocks/shared/settings/values';
import { DEFAULT_DNS_LISTEN } from '../dns/fields.ts';
import { isLoopback } from '../programs/proxy-endpoint.ts';
import type { ClientStatus } from '../status/client-status.ts';
import { BACKENDS, type Wanted } from './plan.ts';
import { isPrivateZone, MOST_ZONES, parseZone, reverseZones, withoutInner } from './zones.ts';

/** The flags of `dns print`, `install` and `uninstall`. */
export const BACKEND_SETTINGS = {
  backend: single(
    { flags: '--backend <name>' },
    `${BACKENDS.join(', ')} (default: what this machine has)`,
    oneOf(BACKENDS),
  ),
} satisfies Settings;

/** The further ones of `dns print` and `install`. */
export const DNS_INSTALL_SETTINGS = {
  zone: several(
    { flags: '--zone <domain>' },
    'domain whose names go there, may be repeated (default: those of the running ss-local, else cluster.local)',
    parseZone,
  ),
  network: several(
    { flags: '--network <cidr>' },
    'network whose addresses are turned into names there, may be repeated',
    reverseZones,
  ),
  server: single(
    { flags: '--server <address:port>' },
    'where the DNS server of ss-local answers (default: that of the running ss-local, else 127.0.0.1:5354)',
    parseServer,
  ),
} satisfies Settings;

const DEFAULT_ZONE = 'cluster.local';

export type RunningDns = Pick<ClientStatus, 'dns' | 'maps' | 'route'>;

type Note = (message: string) => void;

/**
 * What shall be installed: by flags, else as the running ss-local says.
 *
 * @param parsed commander's `opts()`.
 * @param note takes what of it will not work as things are.
 * @throws PodsocksError ERR_CONFIG.
 */
export function wantedOf(
  parsed: Readonly<Record<string, unknown>>,
  running: RunningDns | undefined,
  note: Note,
): Wanted {
  const given = flagLayer(DNS_INSTALL_SETTINGS, parsed);
  const found = given.zone || given.network ? [] : networksOf(running, note);
  const named = given.zone?.value ?? zonesOf(running, note);
  const zones = withoutInner([...named, ...found, ...(given.network?.value.flat() ?? [])]);
  if (zones.length > MOST_ZONES) {
    const from = given.network?.from ?? given.zone?.from ?? RUNNING;
    throw wrong(
      `${from}: ${zones.length} zones are more than systems take (${MOST_ZONES}); give fewer networks (--network)`,
    );
  }
  if (running?.dns) noteUnknown(given.zone?.value ?? [], running.dns.zones, note);
  return { zones, ...serverOf(given, running) };
}

const RUNNING = 'the running ss-local';

function serverOf(given: Layer<typeof DNS_INSTALL_SETTINGS>, running: RunningDns | undefined): Omit<Wanted, 'zones'> {
  if (given.server) return { server: given.server.value, from: given.server.from };
  const listen = running?.dns?.listen ?? [];
  if (listen.length === 0) return { server: DEFAULT_DNS_LISTEN, from: 'the address of the DNS server' };
  const server = listen.map(endpointOf).find(({ host }) => isIP(host) !== 0 && isLoopback(host));
  if (server) return { server, from: `--dns of ${RUNNING}` };
  // Anybody may have taken the port: questions leave the machine only at the user's own word.
  const shown = printable(listen[0]!).slice(0, MOST_SHOWN);
  throw wrong(`${RUNNING} answers DNS at ${shown}, which is not on loopback; if you trust it, say so: --server`);
}

function endpointOf(listen: string): Endpoint {
  const { host, port = DEFAULT_DNS_LISTEN.port } = parseHost(listen);
  // What listens everywhere is on loopback, too.
  return { host: reachedAt(host), port };
}

const MOST_SHOWN = 64;

function zonesOf(running: RunningDns | undefined, note: Note): string[] {
  const listed = running?.dns ? [...running.dns.zones, ...running.maps.map(({ name }) => name)] : [];
  const sound = listed.flatMap(zone => unlessWrong(() => [parseZone(zone)], note));
  for (const zone of sound) {
    if (!isPrivateZone(zone))
      note(`left out: ${zone} may be names of others; if you mean it, give it beside the others: --zone ${zone}`);
  }
  const zones = sound.filter(isPrivateZone);
  return zones.length > 0 ? zones : [DEFAULT_ZONE];
}

/** ss-local asks the cluster for the names of the addresses, too, that it reaches there. */
function networksOf(running: RunningDns | undefined, note: Note): string[] {
  return running?.dns ? running.route.networks.flatMap(network => unlessWrong(() => reverseZones(network), note)) : [];
}

function unlessWrong(read: () => string[], note: Note): string[] {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof PodsocksError)) throw error;
    note(printable(`left out: ${error.message}`));
    return [];
  }
}

/** ss-local would ask the system for them, which would ask ss-local. */
function noteUnknown(zones: readonly string[], known: readonly string[], note: Note): void {
  for (const zone of zones) {
    const isKnown = known.some(other => other === '.' || zone === other || zone.endsWith(`.${other}`));
    if (!isKnown) note(`${RUNNING} does not ask the cluster for ${zone}: start it with --dns-zone ${zone}`);
  }
}

function parseServer(text: string): Endpoint {
  const { host, port = DEFAULT_DNS_LISTEN.port } = parseHost(text);
  if (isIP(host) && port > 0 && !isWildcard(host)) return { host, port };
  throw wrong(`${JSON.stringify(text.slice(0, 64))} is no address of a DNS server; give one such as 127.0.0.1:5354`);
}

function wrong(message: string): PodsocksError {
  return new PodsocksError('ERR_CONFIG', message);
}
