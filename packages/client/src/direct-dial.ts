import { BlockList, isIP, isIPv6 } from 'node:net';
import type { Connection } from '@podsocks/shared/net/connection';
import { dial } from '@podsocks/shared/net/dial';
import { systemLookup } from '@podsocks/shared/net/lookup';
import { isNoneAllowed, permittedLookup } from '@podsocks/shared/net/permitted-lookup';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { formatTarget, type Target, targetOf } from '@podsocks/shared/wire/address';
import type { ConnectReply } from '@podsocks/shared/wire/connect-status';
import { isMachineAddress, plainAddress } from './listen/machine-addresses.ts';

export interface DirectDialOptions {
  readonly connectTimeout: number;
  readonly ipv6First: boolean;
  readonly noDelay: boolean;
  /** Whether a rule forbids this address, which may be that of a name. */
  readonly isRejected: (address: string, port: number) => boolean;
  /** The client is another machine: what listens here for this machine only is not for it. */
  readonly forOthers: boolean;
  /** Gives it up. */
  readonly signal?: AbortSignal | undefined;
}

/** What only this machine is meant to reach, beside its own addresses; what goes to many arrives here, too. */
const OURS = new BlockList();
OURS.addSubnet('0.0.0.0', 8);
OURS.addSubnet('127.0.0.0', 8);
OURS.addSubnet('169.254.0.0', 16);
OURS.addSubnet('224.0.0.0', 4);
OURS.addAddress('255.255.255.255');
OURS.addAddress('::', 'ipv6');
OURS.addAddress('::1', 'ipv6');
OURS.addSubnet('fe80::', 10, 'ipv6');
OURS.addSubnet('ff00::', 8, 'ipv6');

/**
 * Connects to a target without the tunnel. What is allowed is what is dialled: the address of a name is not looked up a second time.
 *
 * @throws PodsocksError ERR_DENIED, or as `dial` does.
 */
export async function dialDirect(given: Target, options: DirectDialOptions): Promise<Connection> {
  const target = targetOf(given.host, given.port); // clients send addresses as names, too
  const { host, port, type } = target;
  const { connectTimeout: timeout, ipv6First, noDelay, signal } = options;
  const isAllowed = (address: string) => mayDial(address, port, options);
  const isZoned = type === 'name' && isIP(host) !== 0; // fe80::1%eth0
  if (isZoned || (type !== 'name' && !isAllowed(host))) throw denied(target);
  try {
    const connection = await dial({
      host,
      port,
      timeout,
      ipv6First,
      noDelay,
      signal,
      lookup: permittedLookup(systemLookup(ipv6First), found => found.filter(({ address }) => isAllowed(address))),
    });
    // The system does not list all of its addresses; but from any of them it comes to itself.
    const { remoteAddress, localAddress } = connection.socket;
    if (!options.forOthers || remoteAddress !== localAddress) return connection;
    connection.reset();
  } catch (error) {
    throw isNoneAllowed(error) ? denied(target) : error;
  }
  throw denied(target);
}

/** What RFC 1928 calls a failure of a direct connection. */
export function directReply(error: unknown): Exclude<ConnectReply, 'succeeded'> {
  if (!(error instanceof PodsocksError)) return 'generalFailure';
  if (error.code === 'ERR_DENIED') return 'notAllowed';
  if (error.code === 'ERR_TIMEOUT') return 'ttlExpired';
  return REPLIES[causeCode(error)] ?? 'generalFailure';
}

const REPLIES: Record<string, Exclude<ConnectReply, 'succeeded'>> = {
  ECONNREFUSED: 'connectionRefused',
  ENETUNREACH: 'networkUnreachable',
  EHOSTUNREACH: 'hostUnreachable',
  ENOTFOUND: 'hostUnreachable',
  ENODATA: 'hostUnreachable',
  EAI_AGAIN: 'hostUnreachable',
  ETIMEDOUT: 'ttlExpired',
};

/** @param address an IP address. */
export function mayDial(
  address: string,
  port: number,
  { isRejected, forOthers }: Pick<DirectDialOptions, 'isRejected' | 'forOthers'>,
): boolean {
  const plain = plainAddress(address);
  return !(forOthers && isOurs(plain)) && !isRejected(plain, port);
}

function isOurs(address: string): boolean {
  return OURS.check(address, isIPv6(address) ? 'ipv6' : 'ipv4') || isMachineAddress(address);
}

function denied(target: Target): PodsocksError {
  return new PodsocksError(
    'ERR_DENIED',
    `${formatTarget(target)}: not reached from here for other machines, or rejected by a rule`,
  );
}

function causeCode(error: unknown): string {
  return ((error as Error).cause as NodeJS.ErrnoException | undefined)?.code ?? '';
}
