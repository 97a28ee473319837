import type { OpenedRequest, RelaySession, ServerDatagrams } from '@podsocks/shared/crypto/datagram';
import type { User } from '@podsocks/shared/crypto/stream';
import { AssociationTable } from '@podsocks/shared/net/association-table';
import {
  codecDropReason,
  DatagramCounts,
  type DropReason,
  sealDropReason,
  sendDropReason,
} from '@podsocks/shared/net/datagram-counts';
import { DatagramListener } from '@podsocks/shared/net/datagram-listener';
import { type DatagramSocket, datagramSpace, type Origin } from '@podsocks/shared/net/datagram-socket';
import { type Drop, dropLog, formatOrigin } from '@podsocks/shared/net/drop-log';
import type { Endpoint } from '@podsocks/shared/net/listener';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import type { Running } from '@podsocks/shared/runtime/lifecycle';
import type { Logger } from '@podsocks/shared/runtime/log';
import type { Target } from '@podsocks/shared/wire/address';
import { Outbound, type OutboundServices } from './outbound.ts';

export interface DatagramServerOptions extends OutboundServices {
  readonly sharePort: boolean;
  readonly reusePort: boolean;
  readonly datagrams: ServerDatagrams;
  /** The cap of all associations. */
  readonly maxAssociations: number;
  /** Counts all that goes through. */
  readonly counts: DatagramCounts;
  /** How long an association may be idle, and a drain wait, in milliseconds. */
  readonly udpTimeout: number;
  readonly drainTimeout: number;
  readonly log: Logger;
}

/** A client's session and its far side. */
interface Association {
  readonly session: RelaySession;
  readonly outbound: Outbound;
  readonly counts: DatagramCounts;
  /** Where its last packet came from, and by which socket: there its answers go. */
  client: Origin;
  socket: DatagramSocket;
}

/** The UDP side of ss-server: open, remember, send on; and what comes back, seal. */
export class DatagramServer implements Running {
  readonly #options: DatagramServerOptions;
  readonly #listener: DatagramListener;
  readonly #associations: AssociationTable<RelaySession, Association>;
  readonly #logDrop: (drop: Drop) => void;
  #draining = false;

  constructor(options: DatagramServerOptions) {
    this.#options = options;
    const { log, maxAssociations: max, udpTimeout: idleTimeout } = options;
    this.#associations = new AssociationTable({
      max,
      idleTimeout,
      now: () => performance.now(),
      remove: (association, why) => this.#end(association, why),
    });
    this.#listener = new DatagramListener({
      ...options,
      receive: (data, from, socket) => this.#receive(data, from, socket),
      failed: error => this.#refuse(sendDropReason(error)),
    });
    this.#logDrop = dropLog(log);
  }

  get addresses(): readonly Endpoint[] {
    return this.#listener.addresses;
  }

  /** @throws PodsocksError ERR_LISTEN; then nothing listens. */
  listen(endpoints: readonly Endpoint[]): Promise<void> {
    return this.#listener.listen(endpoints);
  }

  /** Begins no more associations and waits until those that there are have fallen silent, but at most `drainTimeout`. */
  async drain(): Promise<void> {
    this.#draining = true;
    const deadline = performance.now() + this.#options.drainTimeout;
    while (this.#associations.usedWithin(SILENCE_MS) > 0 && performance.now() < deadline) {
      await new Promise(resolve => setTimeout(resolve, LOOK_MS));
    }
    await this.close();
  }

  async close(): Promise<void> {
    this.#listener.close();
    for (const association of this.#associations.clear()) this.#end(association, 'stop');
  }

  /** The main path. `data` is an array of our own. */
  #receive(data: Uint8Array, from: Origin, socket: DatagramSocket): void {
    const { datagrams } = this.#options;
    const space = datagramSpace(data.length);
    let opened: OpenedRequest;
    let association: Association | undefined;
    try {
      opened = datagrams.open(space, 0, data, 0, data.length, from);
      if (opened.session === undefined && this.#draining) {
        this.#refuse('full', from, opened.user);
        return;
      }
      const session = opened.commit();
      association = this.#associations.use(session) ?? this.#begin(session, from, socket);
    } catch (error) {
      if (!(error instanceof PodsocksError)) throw error;
      this.#refuse(codecDropReason(error), from);
      return;
    }
    // Only a packet that is authentic and new may move the address that answers go to.
    association.client = from;
    association.socket = socket;
    association.outbound.send(opened.target, space, opened.payloadAt, opened.payloadLength);
  }

  #begin(session: RelaySession, client: Origin, socket: DatagramSocket): Association {
    const { user } = session;
    const counts = new DatagramCounts(this.#options.counts);
    const outbound = new Outbound({
      ...this.#options,
      user: user.name,
      counts,
      dropped: reason => this.#dropped(association, reason),
      receive: (from, data) => this.#answer(association, from, data),
    });
    const association: Association = { session, outbound, counts, client, socket };
    this.#associations.add(session, user, association);
    return association;
  }

  #answer(association: Association, from: Target, data: Uint8Array): void {
    const { session, counts, client, socket } = association;
    this.#associations.keep(session);
    const space = datagramSpace(session.sealedLength(data.length));
    let length: number;
    try {
      length = session.seal(space, 0, from, data, 0, data.length);
    } catch (error) {
      if (!(error instanceof PodsocksError)) throw error;
      this.#dropped(association, sealDropReason(error));
      return;
    }
    if (socket.send(space, 0, length, client)) counts.down(data.length);
    else this.#dropped(association, 'congested');
  }

  #dropped({ counts, client, session }: Association, reason: DropReason): void {
    counts.drop(reason);
    this.#logDrop({ reason, client, user: session.user.name });
  }

  #refuse(reason: DropReason, client?: Origin, user?: User): void {
    this.#options.counts.drop(reason);
    this.#logDrop({ reason, client, user: user?.name });
  }

  #end({ session, outbound, counts, client }: Association, why: 'idle' | 'room' | 'stop'): void {
    outbound.close();
    session.close();
    this.#options.log.debug(
      { client: formatOrigin(client), user: session.user.name, ...counts.passed(), why },
      'UDP association closed',
    );
  }
}

/** An answer that is on its way comes sooner. */
const SILENCE_MS = 2_000;
const LOOK_MS = 100;
