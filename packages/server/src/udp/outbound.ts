import type { Address } from '@podsocks/shared/dns/address';
import {
  type DatagramCounts,
  DROP_REASONS,
  type DropReason,
  sendDropReason,
} from '@podsocks/shared/net/datagram-counts';
import { DatagramSocket, type Origin } from '@podsocks/shared/net/datagram-socket';
import { type Target, targetOf } from '@podsocks/shared/wire/address';
import { ipv4OfMapped } from '@podsocks/shared/wire/mapped-address';
import type { Verdict } from '../policy/verdict.ts';
import type { Session } from '../sessions/session.ts';
import type { NameFailure, TargetNames } from './target-names.ts';

/** Where a user wants a datagram to go. */
export interface NamedDestination {
  readonly user: string;
  /** Undefined where the target was given as an address. */
  readonly name: string | undefined;
  readonly port: number;
}

/** Where it is about to go. */
export interface Destination extends NamedDestination {
  readonly address: string;
}

/** What all associations of a server send with. */
export interface OutboundServices {
  readonly names: TargetNames;
  /** Asked before a name is looked up: a denial, where it is the same whatever address the name has. */
  readonly judgeName: (destination: NamedDestination) => Verdict | undefined;
  /** Asked with the address that the datagram would really go to. */
  readonly judge: (destination: Destination) => Verdict;
  readonly bindAddress: { readonly ipv4?: string; readonly ipv6?: string };
}

export interface OutboundOptions extends OutboundServices {
  /** Whose it is; is told where it goes. */
  readonly session: Session;
  /** Says whether so many bytes of payload may pass, either way. */
  readonly bandwidth?: { passDatagram(bytes: number): boolean } | undefined;
  readonly counts: DatagramCounts;
  /** Told of each datagram that went no further. */
  readonly dropped: (reason: DropReason) => void;
  /** Takes what comes back, from an address that was written to; the array is the receiver's. */
  readonly receive: (from: Target, data: Uint8Array) => void;
}

/** Enough for answers that come in bursts; the system may give less. */
const RECEIVE_BUFFER_BYTES = 1024 * 1024;

/** Datagrams that wait for a name are copies; what is more than this is dropped. */
const MAX_WAITING_BYTES = 256 * 1024;

/** What an empty one takes. */
const WAITING_OVERHEAD = 512;

/** Whom an association has written to; the one that was added first is forgotten when there are more. */
const MOST_PEERS = 4096;

/** Names whose address is kept; the one that was added first is chosen anew when there are more. */
const MOST_CHOSEN = 256;

/** An address that is allowed, and what allowed it. */
interface Choice {
  readonly address: Address;
  readonly rule: string;
}

/**
 * The far side of one association: a socket of its own for each address family that it writes to, so that every
 * association is told apart by its port, and gets answers from those addresses only that it has written to.
 */
export class Outbound {
  readonly #options: OutboundOptions;
  readonly #peers = new Set<string>();
  /** To which of its addresses a name goes. */
  readonly #chosen = new Map<string, Address>();
  /** Answers of the resolver none of whose addresses is allowed, so that each is looked through once. */
  readonly #denied = new Map<string, { readonly found: readonly Address[]; readonly rule: string }>();
  readonly #sockets = new Map<4 | 6, DatagramSocket>();
  #waitingBytes = 0;
  #closed = false;

  constructor(options: OutboundOptions) {
    this.#options = options;
  }

  /** Sends `data[at, +length)`, of which nothing is needed any more when this returns. */
  send(target: Target, data: Uint8Array, at: number, length: number): void {
    if (this.#options.bandwidth?.passDatagram(length) === false) {
      this.#options.dropped('limit');
      return;
    }
    // Clients send addresses as names, too.
    const { type, host, port } = target.type === 'name' ? targetOf(target.host, target.port) : target;
    if (port === 0) {
      this.#options.dropped('unreachable'); // nobody listens there
      return;
    }
    if (type !== 'name') {
      const address: Address = { address: host, family: type === 'ipv6' ? 6 : 4 };
      const { allowed, rule } = this.#judge(address, undefined, port);
      if (allowed) this.#transmit(address, rule, target, data, at, length);
      else this.#deny(target, rule);
      return;
    }
    if (host.includes(':')) {
      this.#options.dropped('name'); // no name has one; `::1%1` is an address with a zone
      return;
    }
    const { names, session, judgeName } = this.#options;
    const { user } = session.request;
    const denial = judgeName({ user, name: host, port });
    if (denial !== undefined) {
      this.#deny(target, denial.rule);
      return;
    }
    const found = names.find(host, user);
    if (!(found instanceof Promise)) {
      this.#sendToFound(found, target, data, at, length);
      return;
    }
    const weight = length + WAITING_OVERHEAD;
    if (this.#waitingBytes + weight > MAX_WAITING_BYTES) {
      this.#options.dropped('busy');
      return;
    }
    const copy = new Uint8Array(data.subarray(at, at + length)); // the slice() of a Buffer would be a view
    this.#waitingBytes += weight;
    void found.then(address => {
      this.#waitingBytes -= weight;
      if (!this.#closed) this.#sendToFound(address, target, copy, 0, length);
    });
  }

  close(): void {
    this.#closed = true;
    for (const socket of this.#sockets.values()) socket.close();
  }

  #sendToFound(
    found: readonly Address[] | NameFailure,
    target: Target,
    data: Uint8Array,
    at: number,
    length: number,
  ): void {
    if (typeof found === 'string') {
      const { session, dropped } = this.#options;
      dropped(found);
      session.refused({ reason: found === 'busy' ? 'limit' : 'name', message: DROP_REASONS[found], target });
      return;
    }
    const { host: name, port } = target;
    const chosen = this.#choose(name, port, found);
    if (typeof chosen === 'string') this.#deny(target, chosen);
    else this.#transmit(chosen.address, chosen.rule, target, data, at, length);
  }

  /**
   * A flow stays with the pod that it began with, for as long as the name has its address; else the first that is allowed.
   *
   * @returns that, or the rule that denied the first, if none is.
   */
  #choose(name: string, port: number, found: readonly Address[]): Choice | string {
    const key = `${name}:${port}`;
    const before = this.#chosen.get(key);
    const kept = before && found.find(({ address }) => address === before.address);
    if (kept !== undefined) {
      const { allowed, rule } = this.#judge(kept, name, port);
      if (allowed) return { address: kept, rule };
    }
    const denied = this.#denied.get(key);
    if (denied?.found === found) return denied.rule;
    let refusal: string | undefined;
    for (const address of found) {
      const { allowed, rule } = this.#judge(address, name, port);
      if (allowed) {
        this.#chosen.set(key, address);
        if (this.#chosen.size > MOST_CHOSEN) this.#chosen.delete(this.#chosen.keys().next().value!);
        return { address, rule };
      }
      refusal ??= rule;
    }
    refusal ??= 'no address';
    this.#denied.set(key, { found, rule: refusal });
    if (this.#denied.size > MOST_CHOSEN) this.#denied.delete(this.#denied.keys().next().value!);
    return refusal;
  }

  #judge(found: Address, name: string | undefined, port: number): Verdict {
    const { judge, session } = this.#options;
    const { user } = session.request;
    return judge({ user, address: unmapped(found).address, port, name: found.name ?? name });
  }

  #deny(target: Target, rule: string): void {
    const { session, dropped } = this.#options;
    dropped('denied');
    session.refused({ reason: 'policy', message: `not allowed (${rule})`, target, rule });
  }

  /**
   * @param found an address that is allowed.
   * @param rule what allowed it.
   */
  #transmit(found: Address, rule: string, target: Target, data: Uint8Array, at: number, length: number): void {
    const { session, counts, dropped } = this.#options;
    const { address, family } = unmapped(found);
    const { port } = target;
    const socket = this.#sockets.get(family) ?? this.#open(family);
    if (socket === undefined) return;
    if (!this.#peers.has(address)) this.#addPeer(address);
    if (!session.hasReached(address, port)) session.reached({ target, address, port, rule });
    if (socket.send(data, at, length, { address, port })) counts.up(length);
    else dropped('congested');
  }

  #addPeer(address: string): void {
    this.#peers.add(address);
    if (this.#peers.size > MOST_PEERS) this.#peers.delete(this.#peers.values().next().value!);
  }

  #open(family: 4 | 6): DatagramSocket | undefined {
    const { bindAddress, dropped } = this.#options;
    const address = family === 6 ? (bindAddress.ipv6 ?? '::') : (bindAddress.ipv4 ?? '0.0.0.0');
    try {
      const socket = DatagramSocket.bind(
        { address, ipv6Only: family === 6 },
        {
          receive: (data, from) => this.#receive(data, from),
          failed: error => dropped(sendDropReason(error)),
          receiveBufferBytes: RECEIVE_BUFFER_BYTES,
        },
      );
      this.#sockets.set(family, socket);
      return socket;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      dropped(code === 'EMFILE' || code === 'ENFILE' ? 'descriptors' : 'unreachable');
      return undefined;
    }
  }

  #receive(data: Uint8Array, { address, port }: Origin): void {
    const { dropped, receive, bandwidth } = this.#options;
    if (!this.#peers.has(address)) {
      dropped('stranger');
      return;
    }
    if (bandwidth?.passDatagram(data.length) === false) {
      dropped('limit');
      return;
    }
    receive({ type: address.includes(':') ? 'ipv6' : 'ipv4', host: address, port }, data);
  }
}

/** An IPv4-mapped address is the IPv4 address, for the policy as for the socket. */
function unmapped(found: Address): Address {
  const mapped = found.family === 6 ? ipv4OfMapped(found.address) : undefined;
  return mapped === undefined ? found : { ...found, address: mapped, family: 4 };
}
