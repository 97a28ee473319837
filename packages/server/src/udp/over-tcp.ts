import type { Request, StreamOpener, StreamSealer } from '@podsocks/shared/crypto/stream';
import type { Connection } from '@podsocks/shared/net/connection';
import type { DatagramCounts, DropReason } from '@podsocks/shared/net/datagram-counts';
import type { Origin } from '@podsocks/shared/net/datagram-socket';
import type { Drop } from '@podsocks/shared/net/drop-log';
import type { IdleClock } from '@podsocks/shared/net/idle-clock';
import { PacketStream } from '@podsocks/shared/net/packet-stream';
import type { FirstBytes } from '@podsocks/shared/net/relay';
import { LEGACY_MAGIC_HOST, MAGIC_HOST } from '@podsocks/shared/wire/udp-over-tcp';
import type { Session } from '../sessions/session.ts';
import { Outbound, type OutboundOptions, type OutboundServices } from './outbound.ts';

export interface DatagramStreamOptions {
  readonly connection: Connection;
  readonly client: Origin;
  readonly request: Request;
  readonly stream: StreamOpener;
  readonly sealer: StreamSealer;
  readonly first: FirstBytes | undefined;
  readonly session: Session;
  /** What goes through is counted here. */
  readonly counts: DatagramCounts;
  readonly outbound: OutboundServices;
  readonly bandwidth: OutboundOptions['bandwidth'];
  readonly logDrop: (drop: Drop) => void;
  readonly clock: IdleClock;
  readonly idleTimeout: number;
}

/** Whether a request's host asks for UDP over TCP. Names are compared without regard to case, as in DNS. */
export function isUdpOverTcp(host: string): boolean {
  const name = host.toLowerCase();
  return name === MAGIC_HOST || name === LEGACY_MAGIC_HOST;
}

/**
 * Serves one association that came as a stream, until the client ends it. Its connection is the caller's then.
 *
 * @returns why it ended, undefined when the client ended in order.
 */
export function serveDatagramStream(options: DatagramStreamOptions): Promise<Error | undefined> {
  const { connection, client, request, sealer, first, session, counts, logDrop, clock, idleTimeout } = options;
  const { user, target } = request;
  const dropped = (reason: DropReason) => {
    counts.drop(reason);
    logDrop({ reason, client, user: user.name });
  };
  return new Promise(resolve => {
    const packets = new PacketStream({
      connection,
      opener: options.stream,
      sealer,
      request: target.host.toLowerCase() === MAGIC_HOST ? 'await' : 'none',
      clock,
      idleTimeout,
      receive: (to, data, at, length) => outbound.send(to, data, at, length),
      ended: error => {
        outbound.close();
        resolve(error);
      },
    });
    const outbound = new Outbound({
      ...options.outbound,
      session,
      bandwidth: options.bandwidth,
      counts,
      dropped,
      receive: (from, data) => {
        const { connectedTo } = packets;
        // The client would take it for one from the port that it is connected to: no packet says where it came from.
        if (connectedTo !== undefined && from.port !== connectedTo.port) dropped('stranger');
        else if (packets.send(from, data, 0, data.length)) counts.down(data.length);
        else dropped('congested');
      },
    });
    packets.start(first);
  });
}
