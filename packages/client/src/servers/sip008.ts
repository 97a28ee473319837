import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { readFields } from '@podsocks/shared/settings/config-file';
import { parseJsonObject } from '@podsocks/shared/settings/json-file';
import type { PluginsOfList } from '../plugin/server-plugin.ts';
import { ENTRY_FIELDS, listedServers, type Server, serverListFields } from '../servers.ts';

/** More than anybody has, and each is probed. */
const MOST_SERVERS = 500;

/**
 * Reads a list of servers as SIP008 has it: `{ "version": 1, "servers": [{ "server": …, "server_port": …, "method": …,
 * "password": …, "remarks": … }] }`. Fields that it does not know are passed over, as SIP008 wants it.
 *
 * @param place where it is from, for errors.
 * @param plugins what holds for its servers beside what it says.
 * @returns at least one server: all of them, or none where one is wrong.
 * @throws PodsocksError ERR_CONFIG that names the field, and holds no value of a secret one.
 */
export function readServerDocument(
  text: string,
  place: string,
  plugins: PluginsOfList = { above: {}, below: {}, environment: {} },
): readonly Server[] {
  const json = parseJsonObject(text, place) as { readonly version?: unknown; readonly servers?: unknown };
  if (json.version !== undefined && json.version !== 1) {
    throw new PodsocksError('ERR_CONFIG', `${place}: version: is not 1; ask for a document of SIP008, version 1`);
  }
  if (!Array.isArray(json.servers)) {
    throw new PodsocksError('ERR_CONFIG', `${place}: servers: is not a list; ask for a document of SIP008`);
  }
  if (json.servers.length > MOST_SERVERS) {
    throw new PodsocksError('ERR_CONFIG', `${place}: servers: has more than ${MOST_SERVERS} entries`);
  }
  const own = { servers: json.servers.map(entry => ownFields(entry)) };
  const { servers } = readFields(own, place, serverListFields, { noEffect: {}, refused: {} }, () => {});
  const { above: given, below: file, environment: env } = plugins;
  return listedServers(servers!, { given, file, env, isForeign: true });
}

function ownFields(entry: unknown): unknown {
  if (typeof entry !== 'object' || entry === null || Array.isArray(entry)) return entry;
  const known = new Set<string>(Object.keys(ENTRY_FIELDS));
  return Object.fromEntries(Object.entries(entry).filter(([name]) => known.has(name)));
}
