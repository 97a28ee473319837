import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { connect } from 'node:net';
import type { ClientSession, DatagramServices } from '@podsocks/shared/crypto/datagram';
import { clientDatagrams } from '@podsocks/shared/crypto/datagrams';
import type { ClientKeys } from '@podsocks/shared/crypto/key-derivation';
import type { Method } from '@podsocks/shared/crypto/methods';
import { clientStreams } from '@podsocks/shared/crypto/streams';
import { datagramServices, streamServices } from '@podsocks/shared/net/stream-services';
import { type Target, targetOf } from '@podsocks/shared/wire/address';
import {
  encodePacketHeader,
  encodeRequest,
  LEGACY_MAGIC_HOST,
  MAGIC_HOST,
  PacketReader,
} from '@podsocks/shared/wire/udp-over-tcp';
import { expect, onTestFinished } from 'vitest';
import { Connection } from './connection.ts';

/** Where ss-server is, and how to speak to it. */
export interface DatagramServer {
  readonly port: number;
  readonly method: Method;
  readonly keys: ClientKeys;
}

export interface Answer {
  readonly from: Target;
  readonly payload: Buffer;
}

export interface SessionOptions {
  /** What the client's clock is ahead, in seconds. */
  readonly clockOffset?: number;
  readonly random?: DatagramServices['random'];
}

/** A client of ss-server made of the cipher core and a socket: one session, whose packets the test has in its hands. */
export class DatagramSession {
  readonly answers: Answer[] = [];
  /** Codes of what came and was none. */
  readonly refused: string[] = [];
  /** What came, as it came. */
  readonly sealedAnswers: Buffer[] = [];
  readonly #server: DatagramServer;
  readonly #session: ClientSession;
  #socket: Socket;

  private constructor(server: DatagramServer, session: ClientSession, socket: Socket) {
    this.#server = server;
    this.#session = session;
    this.#socket = socket;
  }

  static async begin(server: DatagramServer, options: SessionOptions = {}): Promise<DatagramSession> {
    const services = datagramServices(server.method, 'auto');
    const { clockOffset = 0, random = services.random } = options;
    const unixTime = () => services.unixTime() + clockOffset;
    const session = clientDatagrams({ ...services, random, unixTime }).session(server.keys);
    const own = new DatagramSession(server, session, await bound('127.0.0.1'));
    own.#listen();
    return own;
  }

  /** Where its packets come from. */
  get local(): { readonly address: string; readonly port: number } {
    return this.#socket.address();
  }

  /** Goes on from another address, as a client does that changes networks. The old one stays open and may hear. */
  async move(address = '127.0.0.1'): Promise<void> {
    this.#socket = await bound(address);
    this.#listen();
  }

  /** The next packet. */
  seal(target: Target, payload: Uint8Array | string): Buffer {
    const bytes = Buffer.from(payload);
    const out = Buffer.alloc(this.#session.sealedLength(bytes.length));
    return out.subarray(0, this.#session.seal(out, 0, target, bytes, 0, bytes.length));
  }

  send(target: Target, payload: Uint8Array | string): void {
    this.sendRaw(this.seal(target, payload));
  }

  /** Resolves when the kernel has it. */
  sendRaw(datagram: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#socket.send(datagram, this.#server.port, '127.0.0.1', error => (error ? reject(error) : resolve()));
    });
  }

  /** Sends until it is answered by an echo, in other packets each time: UDP may lose. */
  async ask(target: Target, payload: Uint8Array | string): Promise<Answer> {
    const wanted = Buffer.from(payload);
    const before = this.answers.length;
    const found = () => this.answers.slice(before).find(answer => answer.payload.equals(wanted));
    for (let attempt = 0; attempt < 20 && !found(); attempt++) {
      this.send(target, wanted);
      await expect
        .poll(() => found() !== undefined, { timeout: 500, interval: 2 })
        .toBe(true)
        .catch(() => {});
    }
    const answer = found();
    if (answer === undefined) throw new Error(`no answer; what came was ${JSON.stringify(this.refused)}`);
    return answer;
  }

  #listen(): void {
    this.#socket.on('message', datagram => {
      this.sealedAnswers.push(datagram);
      const out = Buffer.alloc(datagram.length);
      try {
        const opened = this.#session.open(out, 0, datagram, 0, datagram.length);
        opened.commit();
        const payload = out.subarray(opened.payloadAt, opened.payloadAt + opened.payloadLength);
        this.answers.push({ from: opened.target, payload });
      } catch (error) {
        this.refused.push((error as { code: string }).code);
      }
    });
  }
}

async function bound(address: string): Promise<Socket> {
  const socket = createSocket({ type: 'udp4', recvBufferSize: 4 * 1024 * 1024 });
  socket.bind(0, address);
  await once(socket, 'listening');
  onTestFinished(() => void socket.close());
  return socket;
}

/** A UDP target that knows what it got, in order, and from which port. It answers with the same. */
export interface WitnessedEcho {
  readonly port: number;
  readonly socket: Socket;
  readonly received: { readonly payload: string; readonly port: number }[];
  /** Turned off, it only listens. */
  echo: boolean;
}

export async function startWitnessedEcho(host = '127.0.0.1'): Promise<WitnessedEcho> {
  const socket = createSocket({ type: host.includes(':') ? 'udp6' : 'udp4', recvBufferSize: 4 * 1024 * 1024 });
  const received: WitnessedEcho['received'] = [];
  socket.on('message', (data, from) => {
    received.push({ payload: String(data), port: from.port });
    if (witness.echo) socket.send(data, from.port, from.address, () => {});
  });
  socket.bind(0, host);
  await once(socket, 'listening');
  onTestFinished(() => void socket.close());
  const witness = { port: socket.address().port, socket, received, echo: true };
  return witness;
}

export interface StreamedOptions {
  readonly version: 1 | 2;
  /** Of version 2: all packets go there. */
  readonly connectTo?: Target;
}

/** UDP over TCP by hand: one stream to ss-server. */
export class DatagramStream {
  readonly connection: Connection;
  readonly #sealer: ReturnType<ReturnType<typeof clientStreams>['sealRequest']>;
  readonly #opener: ReturnType<ReturnType<typeof clientStreams>['openResponse']>;
  readonly #connectTo: Target | undefined;
  readonly #reader: PacketReader;
  readonly #answers: Answer[] = [];
  #prefix: Buffer;

  constructor({ port, method, keys }: DatagramServer, { version, connectTo }: StreamedOptions) {
    const streams = clientStreams(streamServices(method, 'auto'));
    this.#sealer = streams.sealRequest(keys, targetOf(version === 2 ? MAGIC_HOST : LEGACY_MAGIC_HOST, 0));
    this.#opener = streams.openResponse(keys, this.#sealer.salt);
    this.#connectTo = connectTo;
    this.#reader = new PacketReader(connectTo);
    const socket = connect({ host: '127.0.0.1', port, noDelay: true });
    onTestFinished(() => void socket.destroy());
    this.connection = new Connection(socket);
    const request = Buffer.alloc(300);
    const target = connectTo ?? targetOf('0.0.0.0', 0);
    this.#prefix =
      version === 1
        ? Buffer.alloc(0)
        : request.subarray(0, encodeRequest(request, 0, { isConnect: connectTo !== undefined, target }));
  }

  /** A packet, with whatever has to stand before it; it is not sealed yet. */
  packet(target: Target, payload: Uint8Array | string): Buffer {
    const bytes = Buffer.from(payload);
    const header = Buffer.alloc(300);
    const length = encodePacketHeader(header, 0, this.#connectTo === undefined ? target : undefined, bytes.length);
    const whole = Buffer.concat([this.#prefix, header.subarray(0, length), bytes]);
    this.#prefix = Buffer.alloc(0);
    return whole;
  }

  seal(plain: Uint8Array): Buffer {
    const out = Buffer.alloc(this.#sealer.sealedLength(plain.length));
    return out.subarray(0, this.#sealer.seal(out, 0, plain, 0, plain.length));
  }

  send(target: Target, payload: Uint8Array | string): Promise<void> {
    return this.connection.send(this.seal(this.packet(target, payload)));
  }

  /** The next answer; undefined when the server has ended. */
  async next(): Promise<Answer | undefined> {
    while (this.#answers.length === 0) {
      const bytes = await this.connection.read();
      if (bytes === undefined) return undefined;
      const plain = Buffer.alloc(this.#opener.openedLength(bytes.length));
      const length = this.#opener.open(plain, 0, bytes, 0, bytes.length);
      this.#reader.read(plain, 0, length, (from, data, at, size) => {
        this.#answers.push({ from, payload: Buffer.from(data.subarray(at, at + size)) });
      });
    }
    return this.#answers.shift();
  }
}
