import type { LookupAddress } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import type { Address } from '@podsocks/shared/dns/address';
import type { Connection } from '@podsocks/shared/net/connection';
import { type DialOptions, dial } from '@podsocks/shared/net/dial';
import { isNoneAllowed, permittedLookup } from '@podsocks/shared/net/permitted-lookup';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { formatTarget, type Target, targetOf } from '@podsocks/shared/wire/address';
import type { ServerConfig } from './config.ts';
import type { Policy } from './policy/policy.ts';
import type { Verdict } from './policy/verdict.ts';
import { DeniedError } from './sessions/refusal.ts';
import type { Route } from './sessions/session.ts';
import type { SilentAddresses } from './silent-addresses.ts';

export interface Reach {
  /** Who knows names, for one user. */
  readonly lookupFor: (user: string) => LookupFunction;
  /** Who may go where. */
  readonly policy: Pick<Policy, 'evaluate' | 'evaluateAsked'>;
  /** Addresses that others have found silent. */
  readonly silent: SilentAddresses;
}

/** A target that was reached. */
export interface Dialled {
  readonly connection: Connection;
  readonly route: Route;
}

/**
 * Connects to where a user wants to go: looks the name up, asks the policy about every address, and tries those that it allows
 * and no others. What was allowed is what is dialled: nothing is looked up a second time.
 *
 * @throws DeniedError, or PodsocksError as `dial` does.
 */
export async function dialTarget(
  config: ServerConfig,
  { lookupFor, policy, silent }: Reach,
  user: string,
  target: Target,
): Promise<Dialled> {
  const { type, host, port } = targetOf(target.host, target.port); // clients send addresses as names, too
  const protocol = 'tcp';
  const name = type === 'name' ? host : undefined;
  if (name !== undefined && isIP(name) !== 0) throw new DeniedError(target, 'built in: an address with a zone');
  const verdict =
    name === undefined
      ? policy.evaluate({ user, protocol, name, address: host, port })
      : (policy.evaluateAsked({ user, protocol, name, port }) ?? ALLOWED);
  if (!verdict.allowed) throw new DeniedError(target, verdict.rule);

  let refusal: Verdict | undefined;
  const rules = new Map([[host, verdict.rule]]);
  const isAllowed = (found: LookupAddress) => {
    const { address, name: completed = name } = found as LookupAddress & Pick<Address, 'name'>;
    const { allowed, rule } = policy.evaluate({ user, protocol, name: completed, address, port });
    if (!allowed) refusal ??= { allowed, rule };
    rules.set(address, rule);
    return allowed;
  };
  try {
    const options = dialOptions(config, type, host, port);
    const choose = (found: readonly LookupAddress[]) => silent.last(found.filter(isAllowed), port);
    const connection = await dial({
      ...options,
      lookup: permittedLookup(lookupFor(user), choose),
      attemptFailed: address => silent.note(address, port),
    });
    const { remoteAddress: address } = connection.socket;
    if (address === undefined) {
      connection.reset();
      throw resetAtOnce(target);
    }
    return { connection, route: { target, address, port, rule: rules.get(address) ?? verdict.rule } };
  } catch (error) {
    throw isNoneAllowed(error) ? new DeniedError(target, refusal?.rule ?? 'no address') : error;
  }
}

/** It accepted, and reset before anybody could ask the system who it was. */
function resetAtOnce(target: Target): PodsocksError {
  const cause = Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET', syscall: 'read' });
  return new PodsocksError('ERR_DIAL', `${formatTarget(target)}: connection reset (ECONNRESET)`, { cause });
}

const ALLOWED: Verdict = { allowed: true, rule: '' };

function dialOptions(config: ServerConfig, type: Target['type'], host: string, port: number): DialOptions {
  const { bindAddress = {}, connectTimeout, ipv6First, noDelay } = config;
  const preferred = ipv6First ? [bindAddress.ipv6, bindAddress.ipv4] : [bindAddress.ipv4, bindAddress.ipv6];
  const localAddress = type === 'name' ? (preferred[0] ?? preferred[1]) : bindAddress[type];
  return { host, port, timeout: connectTimeout, ipv6First, noDelay, localAddress };
}
