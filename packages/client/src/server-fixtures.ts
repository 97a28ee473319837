import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { clientKeys, serverKey } from '@podsocks/shared/crypto/key-derivation';
import { methodNamed } from '@podsocks/shared/crypto/methods';
import type { Keyring, Request } from '@podsocks/shared/crypto/stream';
import { clientStreams, serverStreams } from '@podsocks/shared/crypto/streams';
import { dial } from '@podsocks/shared/net/dial';
import { streamServices } from '@podsocks/shared/net/stream-services';
import { onTestFinished } from 'vitest';
import type { Server } from './servers.ts';

/** A server of Shadowsocks in the test's own hands. */

const METHOD = methodNamed('aes-256-gcm');
const PASSWORD = 'password';
const USER = { name: 'default', key: serverKey(METHOD, PASSWORD) };
const KEYRING: Keyring = {
  identityKey: undefined,
  byIdentity: () => undefined,
  candidates: () => [USER],
  matched() {},
};

/** A server as the configuration has it, that nobody listens as. */
export function fakeEntry(port = 1): Server {
  return { host: '127.0.0.1', port, method: METHOD, keys: clientKeys(METHOD, PASSWORD) };
}

/** A request that has come, and the connection that it came by. */
export interface Asked {
  readonly socket: Socket;
  readonly request: Request;
  /** The payload that came with it. */
  readonly payload: string;
  /** Seals the next bytes of the answer. */
  seal(plain: Uint8Array | string): Uint8Array;
}

export interface FakeServer {
  /** As the configuration has it. */
  readonly server: Server;
  readonly keys: ReturnType<typeof clientKeys>;
  /** The client's side, with a replay filter of its own. */
  readonly streams: ReturnType<typeof clientStreams>;
  dialServer(timeout?: number): ReturnType<typeof dial>;
  /** Connections that are open. */
  open(): number;
  /** Ends all of them. */
  hangUp(): void;
}

/** @param serve is given each request, which has to come in one piece. */
export async function startFakeServer(serve: (asked: Asked) => void): Promise<FakeServer> {
  const streams = serverStreams(streamServices(METHOD, 'auto'));
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true, noDelay: true }, socket => {
    sockets.add(socket);
    socket.on('error', () => {}).on('end', () => socket.end());
    socket.on('close', () => sockets.delete(socket));
    socket.once('data', flight => {
      const opener = streams.openRequest(KEYRING, '');
      const out = Buffer.alloc(opener.openedLength(flight.length));
      const payload = String(out.subarray(0, opener.open(out, 0, flight, 0, flight.length)));
      const { request } = opener.accepted!;
      const sealer = streams.sealResponse(request);
      serve({
        socket,
        request,
        payload,
        seal(plain) {
          const input = Buffer.from(plain);
          const sealed = new Uint8Array(sealer.sealedLength(input.length));
          return sealed.subarray(0, sealer.seal(sealed, 0, input, 0, input.length));
        },
      });
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const entry = fakeEntry(port);
  return {
    server: entry,
    keys: entry.keys,
    streams: clientStreams(streamServices(METHOD, 'auto')),
    dialServer: (timeout = 5_000) => dial({ host: '127.0.0.1', port, timeout, ipv6First: false, noDelay: true }),
    open: () => sockets.size,
    hangUp() {
      for (const socket of sockets) socket.end();
    },
  };
}

/** What a podsocks server answers to `GET /v1/info`, or anybody to anything. */
export function answerInformation(
  { socket, seal }: Asked,
  information: object = { podsocks: { version: '1.2.3' }, features: ['connect-status'], cluster: {} },
): void {
  const body = JSON.stringify(information);
  socket.write(seal(`HTTP/1.1 200 OK\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`));
}
