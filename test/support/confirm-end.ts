import type { Socket } from 'node:net';

/**
 * Calls `confirmed` at the end of a plain socket, unless it was reset: libuv reports a RST behind unread data as an end, and
 * reading once more tells (see Connection.confirmEnd). If it was one, 'error' comes instead.
 */
export function onConfirmedEnd(socket: Socket, confirmed: () => void): void {
  socket.once('end', () => {
    (socket as Socket & { _handle: { readStart(): number } | null })._handle?.readStart();
    setImmediate(() =>
      setImmediate(() => {
        if (!socket.errored) confirmed();
      }),
    );
  });
}
