import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { type DropReason, sendDropReason } from '@podsocks/shared/net/datagram-counts';
import { DatagramSocket, type Origin } from '@podsocks/shared/net/datagram-socket';
import { type Target, targetOf } from '@podsocks/shared/wire/address';
import { ipv4OfMapped } from '@podsocks/shared/wire/mapped-address';
import { type OpenUplink, type Uplink, type UplinkOptions, Waiting } from './uplink.ts';

export interface DirectUplinkServices {
  /** Whether a datagram may go to this address. */
  readonly isAllowed: (address: string, port: number) => boolean;
}

/** Enough for answers that come in bursts; the system may give less. */
const RECEIVE_BUFFER_BYTES = 1024 * 1024;

/** How long an address of a name is used, in milliseconds; the system's resolver does not tell TTLs. */
const NAME_MS = 30_000;

/** Names and peers of one association; the one that was added first is forgotten when there are more. */
const MOST_NAMES = 256;
const MOST_PEERS = 4096;

/**
 * Names that are looked up at a time, by all associations together: the system does four at once, and all others of this
 * process wait behind them. One association has half of it at most.
 */
const MOST_LOOKUPS = 64;

/** Datagrams that go to their targets without the tunnel. */
export function directUplinks(services: DirectUplinkServices): OpenUplink {
  const lookups: Lookups = { underway: 0 };
  return options => new DirectUplink(services, options, lookups);
}

interface Lookups {
  underway: number;
}

interface Name {
  /** Undefined: it is being looked up. */
  address: string | undefined;
  readonly waiting: Waiting;
  until: number;
}

class DirectUplink implements Uplink {
  readonly #services: DirectUplinkServices;
  readonly #options: UplinkOptions;
  readonly #allLookups: Lookups;
  readonly #lookups: Lookups = { underway: 0 };
  readonly #sockets = new Map<4 | 6, DatagramSocket>();
  readonly #names = new Map<string, Name>();
  /** Whom it has written to, and by which target; nobody else is listened to. */
  readonly #peers = new Map<string, Target>();
  #closed = false;

  constructor(services: DirectUplinkServices, options: UplinkOptions, allLookups: Lookups) {
    this.#services = services;
    this.#options = options;
    this.#allLookups = allLookups;
  }

  send(given: Target, data: Uint8Array, at: number, length: number): void {
    if (this.#closed) return;
    const target = targetOf(given.host, given.port); // clients send addresses as names, too
    if (target.type !== 'name') {
      this.#transmit(target.host, target, data, at, length);
      return;
    }
    const name = this.#name(target.host);
    if (name?.address !== undefined) this.#transmit(name.address, target, data, at, length);
    else if (!name?.waiting.add(target, data, at, length)) this.#options.dropped('busy');
  }

  close(): void {
    this.#closed = true;
    for (const socket of this.#sockets.values()) socket.close();
    this.#sockets.clear();
    this.#names.clear();
  }

  /** @returns undefined where too many others are being looked up. */
  #name(host: string): Name | undefined {
    const known = this.#names.get(host);
    if (known !== undefined && (known.address === undefined || performance.now() < known.until)) return known;
    // One that is old is better than none.
    if (this.#lookups.underway >= MOST_LOOKUPS / 2 || this.#allLookups.underway >= MOST_LOOKUPS) return known;
    const counts = [this.#lookups, this.#allLookups];
    for (const count of counts) count.underway++;
    const name: Name = { address: undefined, waiting: new Waiting(), until: 0 };
    forgetFirst(this.#names, MOST_NAMES);
    this.#names.set(host, name);
    const asked = isIP(host) ? Promise.reject(new Error('an address with a zone')) : lookup(host);
    const found = asked.finally(() => {
      for (const count of counts) count.underway--;
    });
    found.then(
      ({ address }) => {
        name.address = address;
        name.until = performance.now() + NAME_MS;
        name.waiting.release((target, data) => {
          if (!this.#closed) this.#transmit(address, target, data, 0, data.length);
        });
      },
      () => {
        this.#names.delete(host);
        name.waiting.release(() => this.#drop('name'));
      },
    );
    return name;
  }

  #transmit(address: string, target: Target, data: Uint8Array, at: number, length: number): void {
    const { port } = target;
    if (port === 0 || !this.#services.isAllowed(address, port)) {
      this.#options.dropped(port === 0 ? 'unreachable' : 'denied');
      return;
    }
    const socket = this.#socket(address.includes(':') ? 6 : 4);
    if (socket === undefined) return;
    const peer = peerKey({ address, port });
    if (!this.#peers.has(peer)) {
      forgetFirst(this.#peers, MOST_PEERS);
      this.#peers.set(peer, targetOf(address, port));
    }
    if (!socket.send(data, at, length, { address, port })) this.#options.dropped('congested');
  }

  #socket(family: 4 | 6): DatagramSocket | undefined {
    const open = this.#sockets.get(family);
    if (open !== undefined) return open;
    try {
      const socket = DatagramSocket.bind(
        { address: family === 6 ? '::' : '0.0.0.0', ...(family === 6 && { ipv6Only: true }) },
        {
          receive: (data, from) => this.#receive(data, from),
          failed: error => this.#drop(sendDropReason(error)),
          receiveBufferBytes: RECEIVE_BUFFER_BYTES,
        },
      );
      this.#sockets.set(family, socket);
      return socket;
    } catch {
      this.#drop('descriptors');
      return undefined;
    }
  }

  #receive(data: Uint8Array, from: Origin): void {
    const peer = this.#peers.get(peerKey(from));
    if (peer === undefined) this.#drop('stranger');
    else this.#options.receive(peer, data, 0, data.length);
  }

  #drop(reason: DropReason): void {
    if (!this.#closed) this.#options.dropped(reason);
  }
}

function peerKey({ address, port }: Origin): string {
  return `${ipv4OfMapped(address) ?? address} ${port}`;
}

function forgetFirst<K>(map: Map<K, unknown>, most: number): void {
  if (map.size < most) return;
  const [first] = map.keys();
  map.delete(first!);
}
