import type { Accepted, RequestOpener } from '@podsocks/shared/crypto/stream';
import type { Connection } from '@podsocks/shared/net/connection';
import type { FirstBytes } from '@podsocks/shared/net/relay';
import { buffers } from '@podsocks/shared/runtime/buffer-pool';
import { PodsocksError } from '@podsocks/shared/runtime/errors';

export interface Authenticated extends Accepted {
  /** Payload that came with the header, opened, in a pooled buffer that now is the caller's. */
  readonly first: FirstBytes | undefined;
}

/**
 * Reads the header of a request. When it resolves, reading has stopped.
 *
 * @throws PodsocksError when the first bytes are not those of a user, or end too early, or never come. The connection
 *   is then absorbed, see {@link absorb}; there is nothing left to do for the caller.
 */
export function authenticate(connection: Connection, opener: RequestOpener): Promise<Authenticated> {
  const { socket } = connection;
  return new Promise((resolve, reject) => {
    const settle = () => {
      socket.off('end', onEnd);
      socket.off('close', onClose);
    };
    const refuse = (error: unknown) => {
      settle();
      opener.close();
      absorb(connection);
      reject(error);
    };
    const onEnd = () => refuse(new PodsocksError('ERR_TRUNCATED', 'the client ended before its request was complete'));
    const onClose = () =>
      refuse(new PodsocksError('ERR_TIMEOUT', 'the connection closed before its request was complete'));
    socket.on('end', onEnd);
    socket.on('close', onClose);
    connection.receive = (input, length) => {
      const out = buffers.take(opener.openedLength(length));
      let opened: number;
      try {
        opened = opener.open(out, 0, input, 0, length);
      } catch (error) {
        buffers.give(out);
        refuse(error);
        return true;
      }
      if (opened === 0) buffers.give(out);
      const { accepted } = opener;
      if (accepted === undefined) return true;
      settle();
      resolve({
        request: accepted.request,
        stream: accepted.stream,
        first: opened === 0 ? undefined : { buffer: out, length: opened, plaintextLength: opened },
      });
      return false;
    };
  });
}

/**
 * Answers a connection whose bytes were refused as if more of them were awaited: reads on, discards, says nothing, and
 * closes with the peer, or at the deadline that its listener set when it came. So neither bytes nor FIN or RST nor the
 * moment tell a prober where in the stream, or why, it failed (docs/THREATS.md).
 */
export function absorb(connection: Connection): void {
  const { socket } = connection;
  connection.receive = () => true;
  if (socket.readableEnded) {
    connection.close();
    return;
  }
  socket.once('end', () => connection.close());
  socket.resume();
}
