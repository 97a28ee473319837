import type { Socket } from 'node:net';

const BLOCK = Buffer.alloc(256 * 1024, 7);

/** Sends so many bytes as fast as they are taken, then calls `sent`. */
export function sendBytes(socket: Socket, count: number, sent: () => void): void {
  let left = count;
  const send = () => {
    while (left > 0) {
      const block = left < BLOCK.length ? BLOCK.subarray(0, left) : BLOCK;
      left -= block.length;
      if (!socket.write(block)) {
        socket.once('drain', send);
        return;
      }
    }
    sent();
  };
  send();
}
