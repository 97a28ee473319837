import type { SharedReplayFilter } from '@podsocks/shared/crypto/replay-filter';
import type { Request, ServerStreams } from '@podsocks/shared/crypto/stream';
import type { Connection } from '@podsocks/shared/net/connection';
import type { Origin } from '@podsocks/shared/net/datagram-socket';
import { atMostEvery } from '@podsocks/shared/runtime/at-most-every';
import { buffers } from '@podsocks/shared/runtime/buffer-pool';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import type { Logger } from '@podsocks/shared/runtime/log';
import { ipv4OfMapped } from '@podsocks/shared/wire/mapped-address';
import { type Authenticated, absorb, authenticate } from './authenticate.ts';
import type { StrangerCounts } from './metrics/stranger-counts.ts';
import { ProxiedOpener } from './proxy-protocol/proxied-opener.ts';
import type { Sessions } from './sessions/sessions.ts';
import { isUdpOverTcp } from './udp/over-tcp.ts';
import type { LiveUsers } from './users/live-users.ts';

export interface AdmissionOptions {
  readonly streams: ServerStreams;
  /** In a worker, the filter that it has together with the others. */
  readonly replays: SharedReplayFilter | undefined;
  readonly users: LiveUsers;
  /** Whether each connection begins with a header of the PROXY protocol. */
  readonly proxyProtocol: boolean | undefined;
  readonly sessions: Sessions;
  readonly strangerCounts: StrangerCounts;
  readonly log: Logger;
}

/** A user, and what they want. */
export interface Caller extends Authenticated {
  readonly connection: Connection;
  readonly origin: Origin;
}

/** Who gets in: those with a key that is good now, each request once. All others are absorbed, and none told from another. */
export class Admission {
  readonly #options: AdmissionOptions;
  readonly #logRefusals: (refusal: { client: string; error: PodsocksError }) => void;

  constructor(options: AdmissionOptions) {
    this.#options = options;
    this.#logRefusals = atMostEvery(REFUSAL_LOG_MS, (count, { client, error }) =>
      options.log.warn({ count, client, code: error.code }, `refused: ${error.message}`),
    );
  }

  /**
   * @param peer the address that the connection came from.
   * @returns undefined for whom there is nothing to do any more.
   */
  async admit(connection: Connection, peer: string): Promise<Caller | undefined> {
    const { streams, replays, users, proxyProtocol } = this.#options;
    const openRequest = (address: string) => streams.openRequest(users.keyring, address);
    // One spelling of an address, whether the port takes both families or one.
    const from: Origin = { address: ipv4OfMapped(peer) ?? peer, port: connection.socket.remotePort ?? 0 };
    const proxied = proxyProtocol ? new ProxiedOpener(from, openRequest) : undefined;
    const authenticated = await authenticate(connection, proxied ?? openRequest(from.address)).catch(error =>
      this.#turnDown(proxied?.client ?? from, error),
    );
    if (authenticated === undefined) return undefined;
    const caller: Caller = { ...authenticated, connection, origin: proxied?.client ?? from };
    const error = replays && (await replayObjection(replays, caller));
    if (error !== undefined) {
      release(caller);
      absorb(connection);
      return this.#turnDown(caller.origin, error);
    }
    const removed = users.objection(caller.request.user);
    if (removed !== undefined) {
      release(caller);
      absorb(connection);
      return this.#turnOut(caller, removed);
    }
    return caller;
  }

  /** Logs somebody's failure, but not each of many. */
  refused({ address: client }: Origin, error: unknown): undefined {
    const { log } = this.#options;
    if (!(error instanceof PodsocksError)) log.error({ client, err: error }, 'a request failed');
    // Port scans and the TCP probes of load balancers end like this all day.
    else if (['ERR_TRUNCATED', 'ERR_TIMEOUT', 'ERR_CLOSED'].includes(error.code)) log.debug({ client }, error.message);
    else this.#logRefusals({ client, error });
  }

  /** Somebody who was not shown to be a user. */
  #turnDown(client: Origin, error: unknown): undefined {
    this.#options.strangerCounts.refuse(error);
    this.refused(client, error);
  }

  /** Somebody with a key that is good no more. */
  #turnOut({ request: { user, target }, origin: client }: Caller, error: PodsocksError): undefined {
    const what = isUdpOverTcp(target.host) ? UDP_OVER_TCP : ({ protocol: 'tcp', target } as const);
    const refusal = { reason: 'expired', message: error.message, target: what.target } as const;
    this.#options.sessions.refuse({ user: user.name, client, ...what }, refusal);
    this.refused(client, error);
  }
}

/** Frees what a request holds that is not served. */
export function release({ first, stream }: Authenticated): void {
  if (first) buffers.give(first.buffer);
  stream.close();
}

const REFUSAL_LOG_MS = 10_000;

const UDP_OVER_TCP = { protocol: 'udp', target: undefined, overTcp: true } as const;

/** Why a request of a worker must not be served after all, now that all workers' requests are known. */
async function replayObjection(
  replays: SharedReplayFilter,
  { request, connection }: { readonly request: Request; readonly connection: Connection },
): Promise<PodsocksError | undefined> {
  const { salt, user } = request;
  const verdict = await replays.confirm(salt);
  if (connection.socket.destroyed) {
    return new PodsocksError('ERR_CLOSED', 'the connection closed before its salt was confirmed');
  }
  if (verdict === 'fresh') return undefined;
  return verdict === 'full'
    ? new PodsocksError('ERR_LIMIT', 'more requests within a minute than the replay filter can remember')
    : new PodsocksError('ERR_REPLAY', `the salt of a request of user "${user.name}" was seen before`);
}
