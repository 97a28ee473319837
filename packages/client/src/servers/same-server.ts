import type { Server } from '../servers.ts';

/** Whether two entries of lists mean the same: then what is known of the server goes on to hold. */
export function isSameServer(one: Server, other: Server): boolean {
  return one === other || identity(one) === identity(other);
}

function identity({ method, keys, plugin, ...others }: Server): string {
  const secrets = [...keys.identityKeys, keys.key].map(key => Buffer.from(key).toString('base64'));
  const rest = Object.entries(others).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([method.name, secrets, plugin?.command, plugin?.options, rest]);
}
