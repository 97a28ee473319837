import type { OpenedRequest, RelaySession, ServerDatagrams } from '@podsocks/shared/crypto/datagram';
import type { User } from '@podsocks/shared/crypto/stream';
import { AssociationTable } from '@podsocks/shared/net/association-table';
import {
  codecDropReason,
  DatagramCounts,
  DROP_REASONS,
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
import type { Session, SessionEnd } from '../sessions/session.ts';
import type { Sessions } from '../sessions/sessions.ts';
import type { LiveUsers } from '../users/live-users.ts';
import { Outbound, type OutboundServices } from './outbound.ts';

export interface DatagramServerOptions extends OutboundServices {
  readonly sharePort: boolean;
  readonly reusePort: boolean;
  readonly datagrams: ServerDatagrams;
  /** The cap of all associations. */
  readonly maxAssociations: number;
  readonly sessions: Sessions;
  readonly users: Pick<LiveUsers, 'objection' | 'excess' | 'bandwidthOf'>;
  /** Counts all that goes through. */
  readonly counts: DatagramCounts;
  /** How long an association may be idle, and a drain wait, in milliseconds. */
  readonly udpTimeout: number;
  readonly drainTimeout: number;
  readonly log: Logger;
}

/** A client's session of the protocol, what its user does with it, and its far side. */
interface Association {
  readonly relay: RelaySession;
  readonly session: Session;
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
  /** Until when observers do not hear of it again, by reason and user. */
  readonly #turnedOut = new Map<string, number>();
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
    for (const association of this.#associations.clear()) this.#end(association, 'shutdown');
  }

  /** The main path. `data` is an array of our own. */
  #receive(data: Uint8Array, from: Origin, socket: DatagramSocket): void {
    const { datagrams, users } = this.#options;
    const space = datagramSpace(data.length);
    let opened: OpenedRequest;
    let association: Association | undefined;
    try {
      opened = datagrams.open(space, 0, data, 0, data.length, from);
      if (opened.session === undefined && this.#draining) {
        this.#refuse('full', from, opened.user);
        return;
      }
      const objection = users.objection(opened.user);
      if (objection !== undefined) {
        this.#turnOut('expired', objection, from, opened.user);
        return;
      }
      const relay = opened.commit();
      association = this.#associations.use(relay) ?? this.#begin(relay, from, socket);
      if (association === undefined) {
        relay.close();
        this.#turnOut('limit', users.excess(opened.user), from, opened.user);
        return;
      }
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

  /** @returns undefined where their user may have no more. */
  #begin(relay: RelaySession, client: Origin, socket: DatagramSocket): Association | undefined {
    const { user } = relay;
    const { users } = this.#options;
    // UDP has no end: what they have not used for longest makes room.
    if (users.excess(user) !== undefined && !this.#associations.makeRoomOf(user)) return undefined;
    const counts = new DatagramCounts(this.#options.counts);
    const asked = { user: user.name, client, protocol: 'udp', target: undefined } as const;
    const session = this.#options.sessions.begin(asked, counts, () => this.#stop(relay));
    const outbound = new Outbound({
      ...this.#options,
      session,
      bandwidth: users.bandwidthOf(user),
      counts,
      dropped: reason => this.#dropped(association, reason),
      receive: (from, data) => this.#answer(association, from, data),
    });
    const association: Association = { relay, session, outbound, counts, client, socket };
    this.#associations.add(relay, user, association);
    return association;
  }

  #answer(association: Association, from: Target, data: Uint8Array): void {
    const { relay, counts, client, socket } = association;
    this.#associations.keep(relay);
    const space = datagramSpace(relay.sealedLength(data.length));
    let length: number;
    try {
      length = relay.seal(space, 0, from, data, 0, data.length);
    } catch (error) {
      if (!(error instanceof PodsocksError)) throw error;
      this.#dropped(association, sealDropReason(error));
      return;
    }
    if (socket.send(space, 0, length, client)) counts.down(data.length);
    else this.#dropped(association, 'congested');
  }

  #dropped({ counts, client, relay }: Association, reason: DropReason): void {
    counts.drop(reason);
    this.#logDrop({ reason, client, user: relay.user.name });
  }

  #refuse(reason: DropReason, client?: Origin, user?: User): void {
    this.#options.counts.drop(reason);
    this.#logDrop({ reason, client, user: user?.name });
  }

  /** Somebody with a key who may not begin anything now. Observers hear of it once in a while: any number of datagrams may come. */
  #turnOut(reason: 'expired' | 'limit', why: PodsocksError | undefined, client: Origin, user: User): void {
    this.#refuse(reason, client, user);
    const key = `${reason} ${user.name}`;
    const now = performance.now();
    if (now < (this.#turnedOut.get(key) ?? 0)) return;
    this.#turnedOut.set(key, now + TURNED_OUT_MS);
    if (this.#turnedOut.size > MOST_TURNED_OUT) this.#turnedOut.delete(this.#turnedOut.keys().next().value!);
    const asked = { user: user.name, client, protocol: 'udp', target: undefined } as const;
    const message = why?.message ?? DROP_REASONS[reason];
    this.#options.sessions.refuse(asked, { reason, message, target: undefined });
  }

  /**
   * Ends that association of a user which they have not used for longest.
   *
   * @returns whether there was one.
   */
  makeRoomOf(user: User): boolean {
    return this.#associations.makeRoomOf(user);
  }

  #stop(relay: RelaySession): void {
    const association = this.#associations.delete(relay);
    if (association !== undefined) this.#end(association, 'shutdown');
  }

  #end({ relay, session, outbound, counts, client }: Association, why: SessionEnd): void {
    outbound.close();
    relay.close();
    session.close(why);
    this.#options.log.debug(
      { client: formatOrigin(client), user: relay.user.name, ...counts.passed(), why },
      'UDP association closed',
    );
  }
}

const TURNED_OUT_MS = 10_000;
const MOST_TURNED_OUT = 4096;

/** An answer that is on its way comes sooner. */
const SILENCE_MS = 2_000;
const LOOK_MS = 100;
