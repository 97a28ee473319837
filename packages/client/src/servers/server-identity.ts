import type { Server } from '../servers.ts';

/** The same for two entries of lists that mean the same, wherever they stand: then what is known of the server goes on to hold. */
export function serverIdentity({ method, keys, plugin, mode, ...others }: Server): string {
  const secrets = [...keys.identityKeys, keys.key].map(key => Buffer.from(key).toString('base64'));
  const rest = Object.entries(others).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([method.name, secrets, plugin?.command, plugin?.options, mode?.value, rest]);
}
