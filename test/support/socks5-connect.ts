import { once } from 'node:events';
import { connect, isIP } from 'node:net';
import { Connection } from './connection.ts';

export interface Destination {
  readonly host: string;
  readonly port: number;
}

/*
 * The package `socks` opens its own socket without allowHalfOpen, and emits early bytes of the target as an event that
 * a reader of the stream does not see. Tests of half-close and of server-first protocols need both.
 */

/** RFC 1928 CONNECT without authentication. The connection stays open for writing when the other side ends. */
export async function connectThrough(socksPort: number, destination: Destination): Promise<Connection> {
  const socket = connect({ host: '127.0.0.1', port: socksPort, allowHalfOpen: true, noDelay: true });
  await once(socket, 'connect');
  const connection = new Connection(socket);
  try {
    await connection.send(Uint8Array.of(5, 1, 0));
    const [, chosen] = await connection.take(2);
    if (chosen !== 0) throw new Error(`SOCKS5: authentication method ${chosen} instead of none`);

    await connection.send(connectRequest(destination));
    const [, reply, , atyp] = await connection.take(1 + 1 + 1 + 1);
    if (reply !== 0) throw new Error(`SOCKS5: reply ${reply}`);
    await connection.take((atyp === 4 ? 16 : 4) + 2);
    return connection;
  } catch (error) {
    connection.destroy();
    throw error;
  }
}

function connectRequest({ host, port }: Destination): Buffer {
  return Buffer.from([5, 1, 0, ...socks5Address(host), port >> 8, port & 0xff]);
}

/** ATYP and address. */
export function socks5Address(host: string): number[] {
  switch (isIP(host)) {
    case 4:
      return [1, ...host.split('.').map(Number)];
    case 6:
      if (host !== '::1') throw new Error('the only IPv6 address that tests use is ::1');
      return [4, ...Array<number>(15).fill(0), 1];
    default:
      return [3, host.length, ...Buffer.from(host)];
  }
}
