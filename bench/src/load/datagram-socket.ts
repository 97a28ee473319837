import { createSocket, type Socket } from 'node:dgram';

/** So that what is lost was not lost here: more than is ever out, and as far as the kernel allows. */
const BUFFER_BYTES = 4 * 2 ** 20;

/** A socket of the load generator or of the target, not bound yet. It tells of that before `bind` or `connect` returns. */
export function datagramSocket(): Socket {
  return createSocket({
    type: 'udp4',
    recvBufferSize: BUFFER_BYTES,
    sendBufferSize: BUFFER_BYTES,
    // All addresses are numbers; dns.lookup would find that out for every single datagram.
    lookup: (address, _options, callback) => callback(null, address, 4),
  });
}
