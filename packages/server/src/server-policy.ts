import type { ServerConfig } from './config.ts';
import { knownUsers } from './keyring.ts';
import { machineAddresses } from './policy/machine-addresses.ts';
import { OwnListeners } from './policy/own-listeners.ts';
import { Policy } from './policy/policy.ts';

/** The policy of ss-server, on this machine's addresses and clock, and the listeners that it keeps users from. */
export function policyOf({ policy, users, listen }: ServerConfig): {
  readonly policy: Policy;
  readonly own: OwnListeners;
} {
  const own = new OwnListeners(machineAddresses, () => performance.now());
  own.set(listen);
  return { policy: new Policy({ ...policy, users: knownUsers(users), own }), own };
}
