import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { connect } from 'node:net';
import { Connection } from './connection.ts';
import { socks5Address } from './socks5-connect.ts';

/** A payload and its other end: whom it is for, or whom it comes from. */
export interface Datagram {
  readonly host: string;
  readonly port: number;
  readonly payload: Buffer;
}

/** What a burst may pile up, beyond which the kernel drops. It gives no more than net.core.rmem_max. */
const RECEIVE_BUFFER_BYTES = 2 * 1024 * 1024;
const FORMS = { 1: 4, 3: undefined, 4: 16 } as const;

/** One UDP association of RFC 1928, without authentication. It lasts as long as its TCP connection, until `close`. */
export class Socks5DatagramClient {
  readonly #control: Connection;
  readonly #socket: Socket;
  readonly #relay: { readonly host: string; readonly port: number };
  #listener: (datagram: Datagram) => void = () => {};
  #failed: (error: Error) => void = () => {};

  /** Asks for an association at a SOCKS port of 127.0.0.1, for datagrams from wherever it will send them. */
  static async associate(socksPort: number): Promise<Socks5DatagramClient> {
    const tcp = connect({ host: '127.0.0.1', port: socksPort, noDelay: true });
    await once(tcp, 'connect');
    const control = new Connection(tcp);
    try {
      await control.send(Uint8Array.of(5, 1, 0));
      const [, chosen] = await control.take(2);
      if (chosen !== 0) throw new Error(`SOCKS5: authentication method ${chosen} instead of none`);

      const udpAssociate = 3;
      await control.send(Buffer.from([5, udpAssociate, 0, ...socks5Address('0.0.0.0'), 0, 0]));
      const [, reply] = await control.take(3);
      if (reply !== 0) throw new Error(`SOCKS5: reply ${reply} to UDP ASSOCIATE`);
      const relay = await takeAddress(control);

      const socket = createSocket({ type: 'udp4', recvBufferSize: RECEIVE_BUFFER_BYTES });
      socket.bind(0, '127.0.0.1');
      await once(socket, 'listening');
      return new Socks5DatagramClient(control, socket, relay);
    } catch (error) {
      control.destroy();
      throw error;
    }
  }

  private constructor(control: Connection, socket: Socket, relay: { host: string; port: number }) {
    this.#control = control;
    this.#socket = socket;
    // RFC 1928 does not say it, but this is how a relay on all addresses names itself.
    this.#relay = { host: relay.host === '0.0.0.0' ? '127.0.0.1' : relay.host, port: relay.port };
    socket.on('error', error => this.#failed(error));
    socket.on('message', (bytes, from) => {
      try {
        if (from.address !== this.#relay.host || from.port !== this.#relay.port) {
          throw new Error(`SOCKS5: a datagram from ${from.address}:${from.port}, which is not the relay`);
        }
        this.#listener(parseDatagram(bytes));
      } catch (error) {
        this.#failed(error as Error);
      }
    });
  }

  send(host: string, port: number, payload: Uint8Array): void {
    const header = Buffer.from([0, 0, 0, ...socks5Address(host), port >> 8, port & 0xff]);
    this.#socket.send([header, payload], this.#relay.port, this.#relay.host, error => {
      if (error) this.#failed(error);
    });
  }

  /** `failed` gets what the listener throws, too. */
  onDatagram(listener: (datagram: Datagram) => void, failed: (error: Error) => void): void {
    this.#listener = listener;
    this.#failed = failed;
  }

  close(): void {
    this.#failed = () => {};
    this.#socket.close();
    this.#control.destroy();
  }
}

/** ATYP, address and port in a reply, which names no relay by name. */
async function takeAddress(control: Connection): Promise<{ host: string; port: number }> {
  const [atyp] = await control.take(1);
  const length = FORMS[atyp as keyof typeof FORMS];
  if (length === undefined) throw new Error(`SOCKS5: the relay's address has type ${atyp}`);
  const host = hostOf(await control.take(length));
  return { host, port: (await control.take(2)).readUInt16BE() };
}

/*
 * +-----+------+------+----------+----------+----------+
 * | RSV | FRAG | ATYP | DST.ADDR | DST.PORT |   DATA   |
 * |  2  |  1   |  1   | variable |    2     | variable |
 * +-----+------+------+----------+----------+----------+
 */
function parseDatagram(bytes: Buffer): Datagram {
  const [reserved1, reserved2, fragment, atyp] = bytes;
  if (reserved1 !== 0 || reserved2 !== 0) throw new Error('SOCKS5: reserved bytes of a datagram are not 0');
  if (fragment !== 0) throw new Error('SOCKS5: a datagram in fragments');
  if (!(atyp! in FORMS)) throw new Error(`SOCKS5: a datagram from an address of type ${atyp}`);
  const fixed = FORMS[atyp as keyof typeof FORMS];
  const start = fixed === undefined ? 5 : 4;
  const end = start + (fixed ?? bytes[4]!);
  if (bytes.length < end + 2) throw new Error('SOCKS5: a datagram ends within its header');
  const address = bytes.subarray(start, end);
  return {
    host: fixed === undefined ? String(address) : hostOf(address),
    port: bytes.readUInt16BE(end),
    payload: bytes.subarray(end + 2),
  };
}

function hostOf(address: Buffer): string {
  if (address.length === 4) return address.join('.');
  const groups = Array.from({ length: 8 }, (_, group) => address.readUInt16BE(2 * group).toString(16)).join(':');
  return groups === '0:0:0:0:0:0:0:1' ? '::1' : groups;
}
