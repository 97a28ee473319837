import { createSocket, type RemoteInfo } from 'node:dgram';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import type { RelaySession } from '@podsocks/shared/crypto/datagram';
import { clientDatagrams, serverDatagrams } from '@podsocks/shared/crypto/datagrams';
import { clientKeys, serverKey } from '@podsocks/shared/crypto/key-derivation';
import { methodNamed } from '@podsocks/shared/crypto/methods';
import type { Keyring, StreamOpener, StreamSealer } from '@podsocks/shared/crypto/stream';
import { clientStreams, serverStreams } from '@podsocks/shared/crypto/streams';
import { IdleClock } from '@podsocks/shared/net/idle-clock';
import { systemLookup } from '@podsocks/shared/net/lookup';
import { datagramServices, streamServices } from '@podsocks/shared/net/stream-services';
import type { Target } from '@podsocks/shared/wire/address';
import {
  decodeRequest,
  encodePacketHeader,
  PACKET_HEADER_MAX_BYTES,
  PacketReader,
} from '@podsocks/shared/wire/udp-over-tcp';
import { onTestFinished } from 'vitest';
import type { Server } from '../servers.ts';
import type { DatagramUplinkServices } from './datagram-uplink.ts';
import type { StreamUplinkServices } from './stream-uplink.ts';
import type { OpenUplink, UplinkOptions } from './uplink.ts';

/** Far ends of an uplink in the test's own hands, and what an uplink tells its association. */

const METHOD = methodNamed('2022-blake3-aes-128-gcm');
const PASSWORD = Buffer.alloc(METHOD.keyBytes, 7).toString('base64');
const USER = { name: 'default', key: serverKey(METHOD, PASSWORD) };
const KEYRING: Keyring = {
  identityKey: undefined,
  byIdentity: () => undefined,
  candidates: () => [USER],
  matched() {},
};

export const serverAt = (host: string, port: number): Server => ({
  host,
  port,
  method: METHOD,
  keys: clientKeys(METHOD, PASSWORD),
});

export const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));

/** Events.once() rejects when a socket is reset. */
export function closed(socket: Socket): Promise<void> {
  return new Promise(resolve => (socket.closed ? resolve() : socket.once('close', () => resolve())));
}

/** What comes in turn, and waits until it is asked for. */
export class Inbox<T> {
  readonly #items: T[] = [];
  readonly #takers: ((item: T) => void)[] = [];

  put(item: T): void {
    const taker = this.#takers.shift();
    if (taker) taker(item);
    else this.#items.push(item);
  }

  /** The next, once it is there. */
  next(): Promise<T> {
    if (this.#items.length > 0) return Promise.resolve(this.#items.shift()!);
    return new Promise(resolve => this.#takers.push(resolve));
  }

  async take(count: number): Promise<T[]> {
    const items: T[] = [];
    while (items.length < count) items.push(await this.next());
    return items;
  }

  get size(): number {
    return this.#items.length;
  }

  /** All that is there now. */
  drain(): T[] {
    return this.#items.splice(0);
  }
}

/** A payload and its other end, as text. */
export interface Packet {
  readonly target: Target;
  readonly payload: string;
}

/** Opens an uplink that ends with the test, and keeps what it tells. */
export function openUplink(open: OpenUplink) {
  const received = new Inbox<Packet>();
  const dropped = new Inbox<string>();
  const failed = new Inbox<Error>();
  const options: UplinkOptions = {
    receive: (target, data, at, length) =>
      received.put({ target, payload: String(Buffer.from(data.subarray(at, at + length))) }),
    dropped: reason => dropped.put(reason),
    failed: error => failed.put(error),
  };
  const uplink = open(options);
  onTestFinished(() => uplink.close());
  /** Sends from the middle of an array that is overwritten as soon as the call returns. */
  const send = (target: Target, payload: string | Uint8Array) => {
    const data = Buffer.concat([Buffer.from('..'), Buffer.from(payload), Buffer.from('...')]);
    uplink.send(target, data, 2, data.length - 5);
    data.fill(0xee);
  };
  return { uplink, send, received, dropped, failed };
}

export function datagramServicesFor(server: Server, given: Partial<DatagramUplinkServices> = {}) {
  const datagrams = clientDatagrams(datagramServices(METHOD, 'auto'));
  return { datagrams, server, lookup: systemLookup(false), ...given };
}

export interface DatagramServer {
  readonly host: string;
  readonly port: number;
  readonly received: Inbox<Packet & { readonly from: RemoteInfo; readonly session: RelaySession }>;
  /** How many sessions have begun. */
  sessions(): number;
  /** An answer in the session of the last datagram, as it goes over the wire. */
  seal(from: Target, payload: string): Uint8Array;
  /** To where the last datagram came from. */
  send(wire: Uint8Array): void;
}

/** A server that speaks the protocol over UDP and sends nothing on. */
export async function startDatagramServer(host = '127.0.0.1', port = 0): Promise<DatagramServer> {
  const datagrams = serverDatagrams(datagramServices(METHOD, 'auto'), KEYRING);
  const received: DatagramServer['received'] = new Inbox();
  const sessions = new Set<RelaySession>();
  const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  let last: { readonly from: RemoteInfo; readonly session: RelaySession };
  socket.on('message', (data, from) => {
    const out = Buffer.alloc(data.length);
    const opened = datagrams.open(out, 0, data, 0, data.length, from);
    const session = opened.commit();
    sessions.add(session);
    last = { from, session };
    const payload = String(out.subarray(opened.payloadAt, opened.payloadAt + opened.payloadLength));
    received.put({ target: opened.target, payload, ...last });
  });
  socket.bind(port, host);
  await once(socket, 'listening');
  onTestFinished(() => void socket.close());
  return {
    host,
    port: socket.address().port,
    received,
    sessions: () => sessions.size,
    seal(from, payload) {
      const data = bytes(payload);
      const out = new Uint8Array(last.session.sealedLength(data.length));
      return out.subarray(0, last.session.seal(out, 0, from, data, 0, data.length));
    },
    send: wire => socket.send(wire, last.from.port, last.from.address),
  };
}

export function streamServicesFor(
  server: Server,
  dialServer: StreamUplinkServices['dialServer'],
  idleTimeout = 60_000,
): StreamUplinkServices {
  const streams = clientStreams(streamServices(METHOD, 'auto'));
  return { streams, server, dialServer, clock: new IdleClock(idleTimeout), idleTimeout };
}

/** One connection that speaks UDP over TCP. */
export interface PacketConnection {
  readonly socket: Socket;
  /** Where the stream went, and the target of its UDP over TCP request. */
  readonly opened: Promise<{ readonly target: Target; readonly isConnect: boolean; readonly first: Target }>;
  readonly received: Inbox<Packet>;
  /** Bytes as they are inside of the stream. */
  send(plain: Uint8Array): void;
}

export interface StreamServer {
  readonly host: string;
  readonly port: number;
  readonly connections: Inbox<PacketConnection>;
}

export function packetOf(from: Target, payload: string): Uint8Array {
  const data = bytes(payload);
  const out = new Uint8Array(PACKET_HEADER_MAX_BYTES + data.length);
  const at = encodePacketHeader(out, 0, from, data.length);
  out.set(data, at);
  return out.subarray(0, at + data.length);
}

/** A server that takes UDP over TCP, and sends nothing on. */
export async function startStreamServer(): Promise<StreamServer> {
  const connections = new Inbox<PacketConnection>();
  const streams = serverStreams(streamServices(METHOD, 'auto'));
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, socket => {
    sockets.add(socket);
    socket.on('error', () => {});
    connections.put(serveConnection(socket, streams));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { host: '127.0.0.1', port: (server.address() as AddressInfo).port, connections };
}

function serveConnection(socket: Socket, streams: ReturnType<typeof serverStreams>): PacketConnection {
  const received = new Inbox<Packet>();
  const opener = streams.openRequest(KEYRING, '127.0.0.1');
  const reader = new PacketReader(undefined);
  let current: StreamOpener = opener;
  let sealer: StreamSealer;
  let begun: Buffer | undefined = Buffer.alloc(0);
  let resolveOpened: (opened: Awaited<PacketConnection['opened']>) => void;
  const opened: PacketConnection['opened'] = new Promise(resolve => {
    resolveOpened = resolve;
  });
  socket.on('data', input => {
    const out = Buffer.alloc(current.openedLength(input.length));
    let plain: Buffer = out.subarray(0, current.open(out, 0, input, 0, input.length));
    if (opener.accepted === undefined) return;
    if (current === opener) {
      current = opener.accepted.stream;
      sealer = streams.sealResponse(opener.accepted.request);
    }
    if (begun !== undefined) {
      begun = Buffer.concat([begun, plain]);
      const request = decodeRequest(begun, 0, begun.length);
      if (request === undefined) return;
      resolveOpened({ target: opener.accepted.request.target, isConnect: request.isConnect, first: request.target });
      plain = begun.subarray(request.length);
      begun = undefined;
    }
    reader.read(plain, 0, plain.length, (target, data, at, length) =>
      received.put({ target, payload: String(Buffer.from(data.subarray(at, at + length))) }),
    );
  });
  return {
    socket,
    opened,
    received,
    send(plain) {
      const out = new Uint8Array(sealer.sealedLength(plain.length));
      socket.write(out.subarray(0, sealer.seal(out, 0, plain, 0, plain.length)));
    },
  };
}
