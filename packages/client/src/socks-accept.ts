import type { Connection } from '@podsocks/shared/net/connection';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import type { Target } from '@podsocks/shared/wire/address';
import { type Offered, SocksHandshake, type SocksUser } from './socks-handshake.ts';

export interface SocksRequest {
  readonly version: 4 | 5;
  readonly command: 'connect' | 'udpAssociate';
  /** Of UDP ASSOCIATE: where the client will send from, as far as it knows. */
  readonly target: Target;
  /** Who gave a password, where one is asked for. */
  readonly username?: string;
  /** What the client sent behind its request without waiting for the reply. */
  readonly rest: Uint8Array;
}

/**
 * Reads what a SOCKS client wants and answers its greeting. When it resolves, reading has stopped and the request
 * waits for its reply.
 *
 * @throws PodsocksError when the client asked for something it cannot have, or made no sense, or has gone. The reply,
 *   where there is one, is on its way, and the connection closes; there is nothing left to do for the caller.
 */
export function acceptSocks(
  connection: Connection,
  users: readonly SocksUser[],
  offered: Offered,
): Promise<SocksRequest> {
  const { socket } = connection;
  const handshake = new SocksHandshake(users, offered);
  return new Promise((resolve, reject) => {
    const settle = () => {
      socket.off('end', onGone);
      socket.off('close', onGone);
    };
    const onGone = () => {
      settle();
      socket.destroy();
      reject(new PodsocksError('ERR_TRUNCATED', 'the client has gone before its SOCKS request was complete'));
    };
    socket.on('end', onGone);
    socket.on('close', onGone);
    connection.receive = (input, length) => {
      const progress = handshake.receive(input, length);
      if (progress.reply.length > 0) socket.write(progress.reply);
      if (progress.state === 'more') return true;
      settle();
      if (progress.state === 'request') {
        resolve(progress);
        return false;
      }
      endWith(connection);
      reject(progress.error);
      return true;
    };
  });
}

/**
 * Says the last word to a client that will not be served. Reads on until the client closes, so that the end is a FIN,
 * which leaves the reply readable, and not a RST, which may not.
 */
export function endWith(connection: Connection, reply?: Uint8Array): void {
  const { socket } = connection;
  connection.receive = () => true;
  if (reply !== undefined) socket.write(reply);
  socket.end();
  socket.resume();
}
