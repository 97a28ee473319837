import { machineAddresses } from '@podsocks/shared/net/machine-addresses';
import type { ServerConfig } from './config.ts';
import { knownUsers } from './keyring.ts';
import { OwnListeners } from './policy/own-listeners.ts';
import { Policy } from './policy/policy.ts';

/** The policy of ss-server, on this machine's addresses and clock, and the listeners that it keeps users from. */
export function policyOf(config: ServerConfig): {
  readonly policy: Policy;
  readonly own: OwnListeners;
} {
  const { policy, listen, admin } = config;
  const own = new OwnListeners(machineAddresses, () => performance.now());
  own.set(admin === undefined ? listen : [...listen, admin]);
  return { policy: new Policy({ ...policy, users: knownUsers(config), own }), own };
}
