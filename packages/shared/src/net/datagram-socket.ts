import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { isIPv6 } from 'node:net';
import { DATAGRAM_HEADER_MAX_BYTES } from '../wire/socks5-datagram.ts';

/** Where a datagram came from. */
export interface Origin {
  readonly address: string;
  readonly port: number;
}

export interface DatagramSocketOptions {
  /** Takes each datagram that comes; the array is the receiver's. */
  readonly receive: (data: Uint8Array, from: Origin) => void;
  /** A datagram could not be sent or received; the socket goes on. `code` is the system's: EMSGSIZE, ECONNREFUSED… */
  readonly failed: (error: NodeJS.ErrnoException) => void;
  /** Asked of the system, which gives at most net.core.rmem_max: what comes while the process does something else. */
  readonly receiveBufferBytes: number;
}

export interface Binding {
  /** An IP address; it decides the family. `::` takes both, where the system has IPv4-mapped addresses. */
  readonly address: string;
  /** Default: any that is free. */
  readonly port?: number;
  /** Several sockets share the port, each with a buffer of its own. Node.js 22.12 or later. */
  readonly reusePort?: boolean;
  /** Of `::`, IPv6 alone. */
  readonly ipv6Only?: boolean;
}

/** Most datagrams with all that goes around them; a socket that has to wait with one keeps no more than this. */
const SMALL_SPACE = 4 * 1024;

/** The longest datagram that there is, and a SOCKS header ahead of it. */
const LARGE_SPACE = 64 * 1024 + DATAGRAM_HEADER_MAX_BYTES;

let small: Uint8Array = Buffer.allocUnsafeSlow(SMALL_SPACE);
let large: Uint8Array = Buffer.allocUnsafeSlow(LARGE_SPACE);

/**
 * Room for one datagram to be sent next, the same for all sockets of the process: valid until the event loop goes on or
 * somebody else asks for it.
 *
 * @param length the bytes that are needed; there may be more.
 */
export function datagramSpace(length: number): Uint8Array {
  return length <= SMALL_SPACE ? small : large;
}

/** A UDP socket. What it is given is sent at once or, when the network is busy, a little later, or not at all. */
export class DatagramSocket {
  readonly #socket: Socket;
  readonly #failed: (error: NodeJS.ErrnoException) => void;
  /** Whether a datagram waits, or did when it was last looked. */
  #queueing = false;
  #connected = false;
  #closed = false;

  private constructor(socket: Socket, { receive, failed }: DatagramSocketOptions) {
    this.#socket = socket;
    this.#failed = failed;
    // Whoever sends from port 0, as UDP allows, cannot be answered; and Node throws where one tries.
    socket.on('message', (data: Buffer, from: RemoteInfo) => {
      if (from.port !== 0) receive(data, from);
    });
    socket.on('error', error => {
      if (!this.#closed) failed(error);
    });
  }

  /**
   * Binds a socket, at once: addresses need no look-up.
   *
   * @throws the system's error (EADDRINUSE, EMFILE, …), and nothing is open.
   */
  static bind({ address, port = 0, reusePort, ipv6Only }: Binding, options: DatagramSocketOptions): DatagramSocket {
    const socket = createSocket({
      type: isIPv6(address) ? 'udp6' : 'udp4',
      // Node would otherwise send every address through getaddrinfo's queue, and later.
      lookup: itself,
      ...(reusePort && { reusePort }),
      ...(ipv6Only && { ipv6Only }),
    } as Parameters<typeof createSocket>[0]);
    let failure: Error | undefined;
    const onError = (error: Error) => {
      failure = error;
    };
    socket.on('error', onError);
    socket.bind({ address, port, exclusive: true });
    if (failure !== undefined) {
      socket.close();
      throw failure;
    }
    socket.off('error', onError);
    try {
      socket.setRecvBufferSize(options.receiveBufferBytes);
    } catch {
      // Whatever the system gives is enough to begin with.
    }
    return new DatagramSocket(socket, options);
  }

  /** Where it is bound. */
  get local(): Origin {
    const { address, port } = this.#socket.address();
    return { address, port };
  }

  /**
   * Talks to this peer only: `send` goes there, and nothing else is received.
   *
   * @returns false when there is no way there now; `failed` is told why a moment later, and it is not connected.
   */
  connect(peer: Origin): boolean {
    this.#socket.connect(peer.port, peer.address);
    try {
      this.#socket.remoteAddress(); // node:dgram has no other way to say at once that it failed
      this.#connected = true;
    } catch {
      this.#connected = false;
    }
    return this.#connected;
  }

  /**
   * Sends `data[at, +length)`, best out of {@link datagramSpace}; of whatever it is, nothing is needed afterwards.
   *
   * @param to the peer, unless it is connected.
   * @returns false when it was dropped: one is waiting already, behind all that the system keeps for a busy network; or
   *   there is nobody to send it to. Other failures reach `failed` a moment later.
   */
  send(data: Uint8Array, at: number, length: number, to?: Origin): boolean {
    const socket = this.#socket;
    const isAddressed = to === undefined ? this.#connected : to.port !== 0;
    if (this.#closed || !isAddressed || (this.#queueing && socket.getSendQueueCount() > 0)) return false;
    if (data !== small && data !== large) {
      const space = datagramSpace(length);
      space.set(data.subarray(at, at + length), 0);
      return this.send(space, 0, length, to);
    }
    if (to === undefined) socket.send(data, at, length, this.#onSent);
    else socket.send(data, at, length, to.port, to.address, this.#onSent);
    this.#queueing = socket.getSendQueueCount() > 0;
    if (this.#queueing) giveAway(data);
    return true;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.close();
  }

  readonly #onSent = (error: NodeJS.ErrnoException | null): void => {
    if (error && !this.#closed) this.#failed(error);
  };
}

/** Addresses are their own answer. node:dgram gives the family of its socket, so nothing is parsed for each datagram. */
function itself(address: string, family: unknown, callback: unknown): void {
  (callback as (error: null, address: string, family: number) => void)(null, address, family as number);
}

/** A datagram waits in this space, which therefore is its own now. */
function giveAway(space: Uint8Array): void {
  if (space === small) small = Buffer.allocUnsafeSlow(SMALL_SPACE);
  else large = Buffer.allocUnsafeSlow(LARGE_SPACE);
}
