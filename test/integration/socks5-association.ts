import { createSocket, type Socket as DatagramSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';
import { Connection } from '../support/connection.ts';
import { type Destination, socks5Address } from '../support/socks5-connect.ts';
import type { Datagram } from '../support/socks5-datagram-client.ts';

export interface AssociationOptions {
  /** Where the SOCKS port is reached. */
  readonly socksHost?: string;
  /** What the request says that datagrams will come from; 'own port' is that of {@link Association.socket}. */
  readonly declared?: Destination | 'own port';
  /** The address that datagrams are sent from. */
  readonly from?: string;
  readonly user?: { readonly username: string; readonly password: string };
}

const FORMS: Record<number, number> = { 1: 4, 4: 16 };

/**
 * One UDP association as a test wants it that tells apart what RFC 1928 section 7 does: unlike Socks5DatagramClient it says
 * what it declares, shows what the reply says, and sends what it should not. It ends with the test.
 */
export class Association {
  readonly tcp: Socket;
  readonly socket: DatagramSocket;
  /** What the reply says. */
  readonly relay: Destination;
  readonly #came: Datagram[] = [];
  #waiting: ((datagram: Datagram) => void) | undefined;

  private constructor(tcp: Socket, socket: DatagramSocket, relay: Destination) {
    this.tcp = tcp;
    this.socket = socket;
    this.relay = relay;
    socket.on('message', bytes => this.#receive(parse(bytes)));
    socket.on('error', () => {});
  }

  /** @throws Error that tells the number of a reply which is not 0. */
  static async open(socksPort: number, options: AssociationOptions = {}): Promise<Association> {
    const { socksHost = '127.0.0.1', declared = { host: '0.0.0.0', port: 0 }, user } = options;
    const from = options.from ?? (socksHost.includes(':') ? '::1' : '127.0.0.1');
    const socket = await bindDatagramSocket(from);
    const tcp = connect({ host: socksHost, port: socksPort, noDelay: true });
    onTestFinished(() => void tcp.destroy());
    await once(tcp, 'connect');
    const control = new Connection(tcp);
    const method = user === undefined ? 0 : 2;
    await control.send(Uint8Array.of(5, 1, method));
    const [, chosen] = await control.take(2);
    if (chosen !== method) throw new Error(`SOCKS5: authentication method ${chosen}`);
    if (user !== undefined) {
      const { username, password } = user;
      await control.send(
        `\x01${String.fromCharCode(username.length)}${username}${String.fromCharCode(password.length)}${password}`,
      );
      const [, status] = await control.take(2);
      if (status !== 0) throw new Error(`SOCKS5: authentication status ${status}`);
    }
    const { host, port } = declared === 'own port' ? { host: from, port: socket.address().port } : declared;
    await control.send(Buffer.from([5, 3, 0, ...socks5Address(host), port >> 8, port & 0xff]));
    const [, reply, , atyp] = await control.take(4);
    if (reply !== 0) throw new Error(`SOCKS5: reply ${reply}`);
    const address = await control.take(FORMS[atyp!]!);
    return new Association(tcp, socket, { host: hostOf(address), port: (await control.take(2)).readUInt16BE() });
  }

  /** To the relay, or to another host that leads there. */
  send({ host, port }: Destination, payload: Uint8Array | string, relayHost = this.relay.host): void {
    this.sendBytes(datagramTo({ host, port }, payload), relayHost);
  }

  sendBytes(bytes: Uint8Array, relayHost = this.relay.host): void {
    this.socket.send(bytes, this.relay.port, relayHost);
  }

  /** The next that comes. */
  next(): Promise<Datagram> {
    const datagram = this.#came.shift();
    if (datagram !== undefined) return Promise.resolve(datagram);
    return new Promise(resolve => {
      this.#waiting = resolve;
    });
  }

  /** What has come and was not asked for. */
  get ahead(): number {
    return this.#came.length;
  }

  #receive(datagram: Datagram): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting) waiting(datagram);
    else this.#came.push(datagram);
  }
}

/** A UDP socket of a program, which ends with the test. */
export async function bindDatagramSocket(host: string, port = 0): Promise<DatagramSocket> {
  const type = host.includes(':') ? 'udp6' : 'udp4';
  const socket = createSocket({ type, recvBufferSize: 2 * 1024 * 1024 });
  let closed = false;
  socket.once('close', () => {
    closed = true;
  });
  onTestFinished(() => {
    if (!closed) socket.close();
  });
  socket.bind({ port, address: host, exclusive: true });
  await once(socket, 'listening');
  return socket;
}

/** RSV, FRAG, ATYP, address, port, data. */
export function datagramTo({ host, port }: Destination, payload: Uint8Array | string, fragment = 0): Buffer {
  return Buffer.concat([
    Buffer.from([0, 0, fragment, ...socks5Address(host), port >> 8, port & 0xff]),
    Buffer.from(payload as string),
  ]);
}

function parse(bytes: Buffer): Datagram {
  const length = FORMS[bytes[3]!]!;
  if (bytes.readUIntBE(0, 3) !== 0) throw new Error('SOCKS5: RSV and FRAG of a datagram are not 0');
  const portAt = 4 + length;
  return {
    host: hostOf(bytes.subarray(4, portAt)),
    port: bytes.readUInt16BE(portAt),
    payload: bytes.subarray(portAt + 2),
  };
}

function hostOf(address: Buffer): string {
  if (address.length === 4) return address.join('.');
  const groups = Array.from({ length: 8 }, (_, group) => address.readUInt16BE(2 * group).toString(16)).join(':');
  return groups === '0:0:0:0:0:0:0:1' ? '::1' : groups;
}
