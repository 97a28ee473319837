import { isIPv6 } from 'node:net';
import { DatagramSocket } from '../net/datagram-socket.ts';
import { type ExchangeOptions, exchange, type Reply, unreachable } from './exchange.ts';
import { MalformedMessage } from './record-walk.ts';

/** A query or its answer was lost: the same datagram again, so that a guess at the answer has no more to go by. */
const RESEND_MS = 1000;

/** From here on somebody is guessing, who might hit: RFC 5452 section 9.3 counts on that being noticed. */
const MOST_FOREIGN = 16;

/** An answer and some that are none. */
const RECEIVE_BUFFER_BYTES = 32 * 1024;

/**
 * Asks by UDP (RFC 1035 section 4.2.1), from a socket of its own. Its port is the system's choice, which is random in
 * Linux, and it is connected: what comes from elsewhere does not reach it (RFC 5452 sections 9.1 and 9.2), and a server
 * that is not there says so at once.
 *
 * @param foreign is told of each datagram that answers something else.
 */
export function exchangeUdp<Answer>(options: ExchangeOptions<Answer>, foreign: () => void): Promise<Reply<Answer>> {
  const { server, query, read } = options;
  let strangers = 0;
  return exchange(options, settle => {
    const receive = (data: Uint8Array) => {
      const answer = read(data as Buffer);
      if (answer === 'truncated') settle({ kind: 'by-tcp' });
      else if (answer instanceof MalformedMessage) settle({ kind: 'malformed', detail: answer.message });
      else if (answer !== 'foreign') settle({ kind: 'answer', answer });
      else {
        foreign();
        if (++strangers === MOST_FOREIGN) settle({ kind: 'by-tcp' });
      }
    };
    let socket: DatagramSocket;
    try {
      socket = DatagramSocket.bind(
        { address: isIPv6(server.host) ? '::' : '0.0.0.0' },
        { receive, failed: error => settle(unreachable(error)), receiveBufferBytes: RECEIVE_BUFFER_BYTES },
      );
    } catch (error) {
      queueMicrotask(() => settle(unreachable(error)));
      return { dispose: () => {} };
    }
    // If it cannot be connected nothing is sent, and `failed` is about to say why.
    const send = () => socket.send(query, 0, query.length);
    socket.connect({ address: server.host, port: server.port });
    send();
    const resend = setInterval(send, RESEND_MS).unref();
    return {
      dispose: () => {
        clearInterval(resend);
        socket.close();
      },
    };
  });
}
