import type { Connection } from '@podsocks/shared/net/connection';
import { DatagramCounts, type DropReason, sendDropReason } from '@podsocks/shared/net/datagram-counts';
import {
  DatagramSocket,
  type DatagramSocketOptions,
  datagramSpace,
  type Origin,
} from '@podsocks/shared/net/datagram-socket';
import { isWildcard } from '@podsocks/shared/net/wildcard';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { type Target, targetOf } from '@podsocks/shared/wire/address';
import { ipv4OfMapped } from '@podsocks/shared/wire/mapped-address';
import { DATAGRAM_HEADER_MAX_BYTES, decodeDatagram, encodeDatagramHeader } from '@podsocks/shared/wire/socks5-datagram';
import type { OpenUplink, Uplink } from './uplink.ts';

export interface AssociateOptions {
  /** The SOCKS client's connection, for as long as which the association lives. */
  readonly control: Connection;
  /** Where the client says that it will send from; port 0 or another host: it does not know yet. */
  readonly declared: Target;
  readonly openUplink: OpenUplink;
  /** Ports to choose from; default: any that is free. */
  readonly ports: PortRange | undefined;
  /** Counts what goes through as well. */
  readonly total: DatagramCounts;
  readonly dropped: (reason: DropReason) => void;
  readonly failed: (error: Error) => void;
}

export interface PortRange {
  readonly from: number;
  readonly to: number;
}

const header = new Uint8Array(DATAGRAM_HEADER_MAX_BYTES);

/** Enough for a program that sends in bursts; the system may give less. */
const RECEIVE_BUFFER_BYTES = 1024 * 1024;

/**
 * The UDP side of one SOCKS5 UDP ASSOCIATE (RFC 1928 section 7): a port of its own, at the address that the client has
 * connected to, for one client address.
 */
export class Association {
  readonly counts: DatagramCounts;
  readonly #options: AssociateOptions;
  /** The host that the control connection comes from; nobody else may send. */
  readonly #host: string;
  readonly #socket: DatagramSocket;
  readonly #uplink: Uplink;
  /** Learnt from the first datagram, and fixed then. */
  #client: Origin | undefined;
  #isConnected = false;

  /** @throws PodsocksError ERR_LISTEN: no port is free. */
  constructor(options: AssociateOptions) {
    const { control, openUplink, ports } = options;
    const { remoteAddress = '', localAddress = '' } = control.socket;
    this.#options = options;
    this.counts = new DatagramCounts(options.total);
    this.#host = plain(remoteAddress);
    this.#socket = bindOne(plain(localAddress), ports, {
      receive: (data, from) => this.#up(data, from),
      failed: error => this.#drop(sendDropReason(error)),
      receiveBufferBytes: RECEIVE_BUFFER_BYTES,
    });
    this.#uplink = openUplink({
      receive: (from, data, at, length) => this.#down(from, data, at, length),
      dropped: reason => this.#drop(reason),
      failed: options.failed,
    });
  }

  /** Where the client has to send to. */
  get address(): Target {
    const { address, port } = this.#socket.local;
    return targetOf(address.replace(/%.*$/, ''), port);
  }

  close(): void {
    this.#socket.close();
    this.#uplink.close();
  }

  #up(data: Uint8Array, from: Origin): void {
    if (!this.#isClient(from)) {
      this.#drop('stranger');
      return;
    }
    let datagram: ReturnType<typeof decodeDatagram>;
    try {
      datagram = decodeDatagram(data, data.length);
    } catch (error) {
      if (!(error instanceof PodsocksError)) throw error;
      this.#drop('malformed');
      return;
    }
    const { fragment, target, payloadAt } = datagram;
    if (fragment !== 0) {
      this.#drop('fragment'); // RFC 1928 section 7 lets us; nobody sends them
      return;
    }
    if (this.#client === undefined) {
      this.#client = from;
      this.#isConnected = this.#socket.connect(from);
    }
    const length = data.length - payloadAt;
    this.counts.up(length);
    this.#uplink.send(target, data, payloadAt, length);
  }

  #isClient({ address, port }: Origin): boolean {
    if (this.#client !== undefined) return address === this.#client.address && port === this.#client.port;
    const { host, port: declaredPort } = this.#options.declared;
    // A client behind NAT names an address, or none, and a port that it does not have here.
    const isHere = plain(host) === this.#host || (isLoopback(this.#host) && isWildcard(host));
    const isDeclared = declaredPort !== 0 && isHere;
    return plain(address) === this.#host && (!isDeclared || port === declaredPort);
  }

  #down(from: Target, data: Uint8Array, at: number, length: number): void {
    if (this.#client === undefined) return; // nothing was asked yet
    const space = datagramSpace(DATAGRAM_HEADER_MAX_BYTES + length);
    const headerLength = encodeDatagramHeader(header, 0, from);
    space.set(data.subarray(at, at + length), headerLength); // which may lie in the same space: set moves it
    space.set(header.subarray(0, headerLength), 0);
    if (this.#socket.send(space, 0, headerLength + length, this.#isConnected ? undefined : this.#client))
      this.counts.down(length);
    else this.#drop('congested');
  }

  #drop(reason: DropReason): void {
    this.counts.drop(reason);
    this.#options.dropped(reason);
  }
}

/** Node names IPv4 clients of a port that takes both families by IPv4-mapped addresses. */
function plain(address: string): string {
  return ipv4OfMapped(address) ?? address;
}

function isLoopback(address: string): boolean {
  return address.startsWith('127.') || address === '::1';
}

/** Ports are tried from one place to the next, so that one which has just been left is not taken again at once. */
let nextPort = 0;

function bindOne(address: string, ports: PortRange | undefined, options: DatagramSocketOptions): DatagramSocket {
  const { from, to } = ports ?? { from: 0, to: 0 };
  const count = to - from + 1;
  let failure: NodeJS.ErrnoException | undefined;
  for (let tries = 0; tries < count; tries++) {
    const port = from + (nextPort++ % count);
    try {
      return DatagramSocket.bind({ address, port }, options);
    } catch (error) {
      failure = error as NodeJS.ErrnoException;
      if (failure.code !== 'EADDRINUSE') break;
    }
  }
  const what = ports === undefined ? 'no UDP port is free' : `no UDP port from ${from} to ${to} is free (--udp-ports)`;
  const message = failure!.code === 'EADDRINUSE' ? what : `cannot open a UDP port (${failure!.code})`;
  throw new PodsocksError('ERR_LISTEN', message, { cause: failure });
}
