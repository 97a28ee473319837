import type { Connection } from '@podsocks/shared/net/connection';
import { PodsocksError } from '@podsocks/shared/runtime/errors';
import type { Target } from '@podsocks/shared/wire/address';
import { encodeReply, Reply } from '@podsocks/shared/wire/socks5';
import type { ConnectRequest } from './connect-request.ts';
import { type Offered, SocksHandshake, socksReply } from './socks-handshake.ts';
import type { SocksUser } from './socks-users.ts';

/** UDP ASSOCIATE of RFC 1928 section 7. */
export interface AssociateRequest {
  readonly command: 'udpAssociate';
  /** Where the client will send from, as far as it knows. */
  readonly target: Target;
  readonly username?: string;
}

/** A client that speaks HTTP; what it wants is for an HTTP parser to find out. */
export interface HttpBegun {
  readonly command: 'http';
  /** What it has sent so far. */
  readonly first: Uint8Array;
}

/**
 * Reads what a client wants and answers its greeting. SOCKS4, SOCKS5 and HTTP share the port: the first byte tells them apart, 4, 5
 * or the letter of a method. When it resolves, reading has stopped and the request waits for its reply.
 *
 * @throws PodsocksError when the client asked for something it cannot have, or made no sense, or has gone. The reply,
 *   where there is one, is on its way, and the connection closes; there is nothing left to do for the caller.
 */
export function acceptRequest(
  connection: Connection,
  users: readonly SocksUser[],
  offered: Offered,
): Promise<ConnectRequest | AssociateRequest | HttpBegun> {
  const { socket } = connection;
  const handshake = new SocksHandshake(users, offered);
  let isFirst = true;
  return new Promise((resolve, reject) => {
    const settle = () => {
      socket.off('end', onGone);
      socket.off('close', onGone);
    };
    const onGone = () => {
      settle();
      socket.destroy();
      reject(new PodsocksError('ERR_TRUNCATED', 'the client has gone before its request was complete'));
    };
    socket.on('end', onGone);
    socket.on('close', onGone);
    connection.receive = (input, length) => {
      if (isFirst && isLetter(input[0]!)) {
        settle();
        resolve({ command: 'http', first: Uint8Array.from(input.subarray(0, length)) });
        return false;
      }
      isFirst = false;
      const progress = handshake.receive(input, length);
      if (progress.reply.length > 0) socket.write(progress.reply);
      if (progress.state === 'more') return true;
      settle();
      if (progress.state === 'request') {
        const { command, version, target, username, rest } = progress;
        const who = username !== undefined && { username };
        if (command === 'udpAssociate') resolve({ command, target, ...who });
        else resolve({ command, target, ...who, rest, encodeReply: (...said) => encodeSocksReply(version, ...said) });
        return false;
      }
      endWith(connection);
      reject(progress.error);
      return true;
    };
  });
}

/** The bound address is in SOCKS5 only, and only of a success. */
function encodeSocksReply(version: 4 | 5, reply: keyof typeof Reply, bound?: Target): Uint8Array {
  return version === 5 && bound !== undefined ? encodeReply(Reply[reply], bound) : socksReply(version, reply);
}

function isLetter(byte: number): boolean {
  const upper = byte & ~0x20;
  return upper >= 0x41 && upper <= 0x5a;
}

/**
 * Says the last word to a client that will not be served. Reads on until the client closes, so that the end is a FIN,
 * which leaves the reply readable, and not a RST, which may not.
 */
export function endWith(connection: Connection, reply?: Uint8Array): void {
  const { socket } = connection;
  connection.receive = () => true;
  if (reply !== undefined && reply.length > 0) socket.write(reply);
  socket.end();
  socket.resume();
}
