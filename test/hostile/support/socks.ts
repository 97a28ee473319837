import { once } from 'node:events';
import type { Socket } from 'node:net';
import { openSocket, type Sighting, sight } from './sighting.ts';

export const SOCKS5_GREETING = Uint8Array.of(5, 1, 0);

/** What ss-local answers to greeting and CONNECT when it has reached its server. */
export const SOCKS5_SUCCESS = Buffer.of(5, 0, 5, 0, 0, 1, 0, 0, 0, 0, 0, 0);

/** RFC 1928 CONNECT to 127.0.0.1. */
export function socks5Connect(port: number): Uint8Array {
  return Uint8Array.of(5, 1, 0, 1, 127, 0, 0, 1, port >> 8, port & 0xff);
}

/** A SOCKS client that does not wait for replies: greeting, CONNECT and payload leave together. */
export function socksSocket(socksPort: number, port: number, payload: Uint8Array | string): Socket {
  const socket = openSocket(socksPort);
  socket.write(Buffer.concat([SOCKS5_GREETING, socks5Connect(port), Buffer.from(payload)]));
  return socket;
}

export interface SocksSighting {
  /** What came behind the replies, as text. */
  readonly data: string;
  readonly end: Sighting['end'];
}

/**
 * Watches a connection of {@link socksSocket} to its end.
 *
 * @param onData called once, when something has come behind the replies.
 */
export async function sightBehindSocks(socket: Socket, onData?: () => void): Promise<SocksSighting> {
  let received = 0;
  const count = ({ length }: Buffer) => {
    received += length;
    if (received <= SOCKS5_SUCCESS.length) return;
    socket.off('data', count);
    onData?.();
  };
  socket.on('data', count);
  const { bytes, end } = await sight(socket);
  const head = bytes.subarray(0, SOCKS5_SUCCESS.length);
  if (!head.equals(SOCKS5_SUCCESS)) throw new Error(`SOCKS5: ${head.toString('hex')}, then ${end}`);
  return { data: String(bytes.subarray(SOCKS5_SUCCESS.length)), end };
}

/**
 * Whether ss-local serves an honest client whose target is an echo.
 *
 * @param meanwhile what happens between its connecting and its first bytes.
 */
export async function servesSocks(
  socksPort: number,
  echoPort: number,
  meanwhile?: () => Promise<void>,
): Promise<boolean> {
  const socket = openSocket(socksPort);
  const seen = sight(socket);
  await Promise.race([once(socket, 'connect'), seen]);
  await meanwhile?.();
  socket.end(Buffer.concat([SOCKS5_GREETING, socks5Connect(echoPort), Buffer.from('still there?')]));
  const { bytes, end } = await seen;
  return end === 'fin' && bytes.equals(Buffer.concat([SOCKS5_SUCCESS, Buffer.from('still there?')]));
}
