import { type DatagramCounts, type DropReason, sendDropReason } from '@podsocks/shared/net/datagram-counts';
import { DatagramSocket, type Origin } from '@podsocks/shared/net/datagram-socket';
import { type Target, targetOf } from '@podsocks/shared/wire/address';
import { ipv4OfMapped } from '@podsocks/shared/wire/mapped-address';
import type { Address } from '../resolver/address.ts';
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
  /** Asked before a name is looked up: whether it may be, or is denied whatever address it has. */
  readonly permitsName: (destination: NamedDestination) => boolean;
  /** Asked with the address that the datagram would really go to. */
  readonly permits: (destination: Destination) => boolean;
  readonly bindAddress: { readonly ipv4?: string; readonly ipv6?: string };
}

export interface OutboundOptions extends OutboundServices {
  readonly user: string;
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
  readonly #denied = new Map<string, readonly Address[]>();
  readonly #sockets = new Map<4 | 6, DatagramSocket>();
  #waitingBytes = 0;
  #closed = false;

  constructor(options: OutboundOptions) {
    this.#options = options;
  }

  /** Sends `data[at, +length)`, of which nothing is needed any more when this returns. */
  send(target: Target, data: Uint8Array, at: number, length: number): void {
    // Clients send addresses as names, too.
    const { type, host, port } = target.type === 'name' ? targetOf(target.host, target.port) : target;
    if (port === 0) {
      this.#options.dropped('unreachable'); // nobody listens there
      return;
    }
    if (type !== 'name') {
      const address: Address = { address: host, family: type === 'ipv6' ? 6 : 4 };
      if (this.#permits(address, undefined, port)) this.#transmit(address, port, data, at, length);
      else this.#options.dropped('denied');
      return;
    }
    if (host.includes(':')) {
      this.#options.dropped('name'); // no name has one; `::1%1` is an address with a zone
      return;
    }
    const { names, user, permitsName } = this.#options;
    if (!permitsName({ user, name: host, port })) {
      this.#options.dropped('denied');
      return;
    }
    const found = names.find(host, user);
    if (!(found instanceof Promise)) {
      this.#sendToFound(found, host, port, data, at, length);
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
      if (!this.#closed) this.#sendToFound(address, host, port, copy, 0, length);
    });
  }

  close(): void {
    this.#closed = true;
    for (const socket of this.#sockets.values()) socket.close();
  }

  #sendToFound(
    found: readonly Address[] | NameFailure,
    name: string,
    port: number,
    data: Uint8Array,
    at: number,
    length: number,
  ): void {
    if (typeof found === 'string') {
      this.#options.dropped(found);
      return;
    }
    const chosen = this.#choose(name, port, found);
    if (chosen === undefined) this.#options.dropped('denied');
    else this.#transmit(chosen, port, data, at, length);
  }

  /** A flow stays with the pod that it began with, for as long as the name has its address; else the first that is allowed. */
  #choose(name: string, port: number, found: readonly Address[]): Address | undefined {
    const key = `${name}:${port}`;
    const before = this.#chosen.get(key);
    const kept = before && found.find(({ address }) => address === before.address);
    if (kept !== undefined && this.#permits(kept, name, port)) return kept;
    if (this.#denied.get(key) === found) return undefined;
    const chosen = found.find(address => this.#permits(address, name, port));
    if (chosen === undefined) {
      this.#denied.set(key, found);
      if (this.#denied.size > MOST_CHOSEN) this.#denied.delete(this.#denied.keys().next().value!);
      return undefined;
    }
    this.#chosen.set(key, chosen);
    if (this.#chosen.size > MOST_CHOSEN) this.#chosen.delete(this.#chosen.keys().next().value!);
    return chosen;
  }

  #permits(found: Address, name: string | undefined, port: number): boolean {
    const { permits, user } = this.#options;
    return permits({ user, address: unmapped(found).address, port, name: found.name ?? name });
  }

  /** @param found an address that is permitted. */
  #transmit(found: Address, port: number, data: Uint8Array, at: number, length: number): void {
    const { counts, dropped } = this.#options;
    const { address, family } = unmapped(found);
    const socket = this.#sockets.get(family) ?? this.#open(family);
    if (socket === undefined) return;
    if (!this.#peers.has(address)) this.#addPeer(address);
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
    const { dropped, receive } = this.#options;
    if (!this.#peers.has(address)) {
      dropped('stranger');
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
