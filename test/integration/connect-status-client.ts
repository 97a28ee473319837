import { once } from 'node:events';
import { connect } from 'node:net';
import { onTestFinished } from 'vitest';
import { Connection } from '../support/connection.ts';
import { type Destination, socks5Address } from '../support/socks5-connect.ts';

/** What ss-local replied to a CONNECT, and the connection, which is of use after a success. */
export interface Reply {
  readonly reply: number;
  /** `address:port`, with the address as bytes in hex where it is IPv6. */
  readonly bound: string;
  readonly connection: Connection;
}

/** @param early what is sent behind the request, without waiting; `end` sends FIN behind it. */
export async function askToConnect(
  socksPort: number,
  { host, port }: Destination,
  { early = '', end = false }: { readonly early?: string | Uint8Array; readonly end?: boolean } = {},
): Promise<Reply> {
  const { socket, connection } = await open(socksPort);
  const request = Buffer.from([5, 1, 0, 5, 1, 0, ...socks5Address(host), port >> 8, port & 0xff]);
  socket.write(Buffer.concat([request, Buffer.from(early)]));
  if (end) socket.end();
  await connection.take(2);
  const [, reply, , atyp] = await connection.take(4);
  const address = await connection.take(atyp === 4 ? 16 : 4);
  const boundPort = (await connection.take(2)).readUInt16BE();
  const text = atyp === 4 ? address.toString('hex') : address.join('.');
  return { reply: reply!, bound: `${text}:${boundPort}`, connection };
}

/** CD of the reply to a SOCKS4a request. */
export async function askBySocks4(socksPort: number, { host, port }: Destination): Promise<number> {
  const { socket, connection } = await open(socksPort);
  socket.write(Buffer.from([4, 1, port >> 8, port & 0xff, 0, 0, 0, 1, 0, ...Buffer.from(host), 0]));
  return (await connection.take(8))[1]!;
}

async function open(socksPort: number) {
  const socket = connect({ host: '127.0.0.1', port: socksPort, allowHalfOpen: true, noDelay: true });
  onTestFinished(() => void socket.destroy());
  await once(socket, 'connect');
  return { socket, connection: new Connection(socket) };
}
