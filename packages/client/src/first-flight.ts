import type { RequestSealer } from '@podsocks/shared/crypto/stream';
import type { Connection } from '@podsocks/shared/net/connection';
import type { FirstBytes } from '@podsocks/shared/net/relay';
import { buffers } from '@podsocks/shared/runtime/buffer-pool';

/**
 * How long to wait for what the program says first, so that it leaves in one segment with the request's header.
 * Programs answer a SOCKS reply within a millisecond or two; those that let the server speak first pay this once.
 */
const WAIT_MS = 20;

/**
 * Seals the first bytes of a request, its header and `payload[0, length)`.
 *
 * @returns the sealed bytes in a pooled buffer that now is the caller's.
 */
export function sealFirst(sealer: RequestSealer, payload: Uint8Array, length: number): FirstBytes {
  const buffer = buffers.take(sealer.sealedLength(length));
  return { buffer, length: sealer.seal(buffer, 0, payload, 0, length), plaintextLength: length };
}

/** Bytes that go as they are, in a pooled buffer that now is the caller's; nothing where there are none. */
export function unsealedFirst(bytes: Uint8Array): FirstBytes | undefined {
  if (bytes.length === 0) return undefined;
  const buffer = buffers.take(bytes.length);
  buffer.set(bytes);
  return { buffer, length: bytes.length, plaintextLength: bytes.length };
}

/**
 * Seals the header of a request together with the first payload of a client that has its reply, or alone when none
 * comes in time.
 *
 * @param rest payload that came before the reply; then there is no waiting.
 * @returns the sealed bytes in a pooled buffer that now is the caller's. Reading has stopped.
 */
export function firstFlight(connection: Connection, sealer: RequestSealer, rest: Uint8Array): Promise<FirstBytes> {
  if (rest.length > 0) return Promise.resolve(sealFirst(sealer, rest, rest.length));

  const { socket } = connection;
  return new Promise(resolve => {
    const settle = () => {
      clearTimeout(timer);
      socket.off('end', none);
      socket.off('close', none);
    };
    const none = () => {
      settle();
      socket.pause();
      resolve(sealFirst(sealer, rest, 0));
    };
    const timer = setTimeout(none, WAIT_MS);
    socket.on('end', none);
    socket.on('close', none);
    connection.receive = (input, length) => {
      settle();
      resolve(sealFirst(sealer, input, length));
      return false;
    };
    socket.resume();
  });
}
