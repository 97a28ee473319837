import { connect, type Socket } from 'node:net';
import { onConfirmedEnd } from '../../support/confirm-end.ts';

/** What one side of a connection has seen of the other. */
export interface Sighting {
  readonly bytes: Buffer;
  /** `open`: neither FIN nor RST came within the limit. */
  readonly end: 'fin' | 'rst' | 'open';
  /** Milliseconds from just before the connection was opened (or given to {@link sight}) to its end. */
  readonly after: number;
  /** When that was, by performance.now(). */
  readonly endedAt: number;
}

/** Longer than anything here may take on a busy machine; only a test that fails waits for it. */
export const LIMIT_MS = 30_000;

/** Watches a socket to its end, then destroys it. Writing is left to the caller. */
export function sight(socket: Socket, limit = LIMIT_MS, since = performance.now()): Promise<Sighting> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    const done = (end: Sighting['end']) => {
      clearTimeout(timer);
      const endedAt = performance.now();
      resolve({ bytes: Buffer.concat(parts), end, after: endedAt - since, endedAt });
      socket.destroy();
    };
    const timer = setTimeout(done, limit, 'open');
    if (socket.errored) return done('rst');
    socket.on('data', (part: Buffer) => parts.push(part));
    onConfirmedEnd(socket, () => done('fin'));
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNRESET' || error.code === 'EPIPE') return done('rst');
      clearTimeout(timer);
      reject(error);
    });
  });
}

export interface ProbeOptions {
  /** Sends FIN behind the bytes; else nothing more, ever. */
  readonly fin?: boolean;
  readonly localPort?: number;
  readonly limit?: number;
}

/** Opens a connection, sends the bytes at once, and reports what comes of it. */
export function probe(port: number, bytes: Uint8Array, { fin, localPort, limit }: ProbeOptions = {}) {
  const since = performance.now();
  const socket = openSocket(port, localPort);
  if (fin) socket.end(bytes);
  else if (bytes.length > 0) socket.write(bytes);
  return sight(socket, limit, since);
}

/** A socket on its way to a port of 127.0.0.1. It takes writes at once, and stays open for them after the peer's FIN. */
export function openSocket(port: number, localPort?: number): Socket {
  return connect({
    host: '127.0.0.1',
    port,
    allowHalfOpen: true,
    noDelay: true,
    ...(localPort !== undefined && { localPort, localAddress: '127.0.0.1' }),
  });
}
