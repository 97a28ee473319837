import type { LookupFunction } from 'node:net';
import type { ClientDatagrams, ClientSession, OpenedReply } from '@podsocks/shared/crypto/datagram';
import { codecDropReason, sealDropReason } from '@podsocks/shared/net/datagram-counts';
import { DatagramSocket, datagramSpace } from '@podsocks/shared/net/datagram-socket';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import { formatTarget, type Target } from '@podsocks/shared/wire/address';
import type { Server } from '../servers.ts';
import { type OpenUplink, type Uplink, type UplinkOptions, Waiting } from './uplink.ts';

export interface DatagramUplinkServices {
  readonly datagrams: ClientDatagrams;
  readonly server: Server;
  readonly lookup: LookupFunction;
}

/** Enough for answers that come in bursts; the system may give less. */
const RECEIVE_BUFFER_BYTES = 1024 * 1024;

/** Plain Shadowsocks over UDP: each association has a socket and a session of its own. */
export function datagramUplinks(services: DatagramUplinkServices): OpenUplink {
  const address = new ServerAddress(services);
  return options => new DatagramUplink(services, address, options);
}

/**
 * Where the server is. Those who ask at the same time have one look-up together: through a port that stands for a DNS server each
 * question is an association, and where names are not answered at all, their look-ups would hold up all others for hours.
 */
class ServerAddress {
  readonly #services: DatagramUplinkServices;
  #asking: ((address: string | undefined) => void)[] = [];

  constructor(services: DatagramUplinkServices) {
    this.#services = services;
  }

  /** @param found gets undefined where there is none. */
  ask(found: (address: string | undefined) => void): void {
    this.#asking.push(found);
    if (this.#asking.length > 1) return;
    const { lookup, server } = this.#services;
    lookup(server.host, { all: true }, (error, addresses) => {
      const asking = this.#asking;
      this.#asking = [];
      const [first] = error ? [] : (addresses as { address: string }[]);
      for (const tell of asking) tell(first?.address);
    });
  }
}

class DatagramUplink implements Uplink {
  readonly #options: UplinkOptions;
  readonly #server: Server;
  readonly #session: ClientSession;
  readonly #address: ServerAddress;
  readonly #waiting = new Waiting();
  #socket: DatagramSocket | undefined;
  #finding = false;
  #closed = false;

  constructor({ datagrams, server }: DatagramUplinkServices, address: ServerAddress, options: UplinkOptions) {
    this.#options = options;
    this.#server = server;
    this.#session = datagrams.session(server.keys);
    this.#address = address;
    this.#find();
  }

  #find(): void {
    this.#finding = true;
    const server = this.#server;
    this.#address.ask(address => {
      this.#finding = false;
      if (this.#closed) return;
      if (address !== undefined) this.#open(address);
      else {
        this.#options.failed(new PodsocksError('ERR_DIAL', `${formatTarget(server)}: no such name`));
        this.#waiting.release(() => this.#options.dropped('unreachable'));
      }
    });
  }

  send(target: Target, data: Uint8Array, at: number, length: number): void {
    const { dropped } = this.#options;
    if (this.#closed) return;
    if (this.#socket === undefined) {
      if (!this.#waiting.add(target, data, at, length)) dropped('congested');
      else if (!this.#finding) this.#find();
      return;
    }
    const space = datagramSpace(this.#session.sealedLength(length));
    let sealedLength: number;
    try {
      sealedLength = this.#session.seal(space, 0, target, data, at, length);
    } catch (error) {
      if (!(error instanceof PodsocksError)) throw error;
      dropped(sealDropReason(error));
      return;
    }
    if (!this.#socket.send(space, 0, sealedLength)) dropped('congested');
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket?.close();
    this.#session.close();
    this.#waiting.release(() => {}); // its look-up may take long
  }

  #open(address: string): void {
    const { port } = this.#server;
    try {
      this.#socket = DatagramSocket.bind(
        { address: address.includes(':') ? '::' : '0.0.0.0' },
        {
          receive: data => this.#receive(data),
          failed: error => this.#fail(error),
          receiveBufferBytes: RECEIVE_BUFFER_BYTES,
        },
      );
    } catch (error) {
      this.#fail(error as NodeJS.ErrnoException);
      this.#waiting.release(() => this.#options.dropped('descriptors'));
      return;
    }
    // Nobody else is heard then, and a closed port is told.
    if (!this.#socket.connect({ address, port })) {
      this.#lose();
      this.#options.failed(
        new PodsocksError('ERR_DIAL', `${formatTarget(this.#server)} over UDP: there is no route to it`),
      );
      this.#waiting.release(() => this.#options.dropped('unreachable'));
      return;
    }
    this.#waiting.release((target, data) => this.send(target, data, 0, data.length));
  }

  #receive(data: Uint8Array): void {
    const { receive, dropped } = this.#options;
    const space = datagramSpace(data.length);
    let opened: OpenedReply;
    try {
      opened = this.#session.open(space, 0, data, 0, data.length);
      opened.commit();
    } catch (error) {
      if (!(error instanceof PodsocksError)) throw error;
      dropped(codecDropReason(error));
      return;
    }
    receive(opened.target, space, opened.payloadAt, opened.payloadLength);
  }

  /** The next datagram asks for the server's address again, and leaves from the one that this machine has then. */
  #lose(): void {
    this.#socket?.close();
    this.#socket = undefined;
  }

  #fail(error: NodeJS.ErrnoException): void {
    const { dropped, failed } = this.#options;
    if (error.code === 'EMSGSIZE') {
      dropped('too-long'); // nobody's fault but the datagram's
      return;
    }
    if (error.code !== 'ECONNREFUSED') this.#lose();
    const reason = error.code === 'ECONNREFUSED' ? 'no ss-server listens for UDP there (-u)' : `${error.code}`;
    failed(new PodsocksError('ERR_DIAL', `${formatTarget(this.#server)} over UDP: ${reason}`, { cause: error }));
  }
}
