import { connect } from 'node:net';
import { type ExchangeOptions, exchange, type Reply, unreachable } from './exchange.ts';
import { framed, MessageFrames } from './message-frames.ts';
import { MalformedMessage } from './record-walk.ts';

const MAX_MESSAGE_BYTES = 0xffff;

/**
 * Asks by TCP, on a connection of its own: answers that are too long for a datagram are rare, and servers close idle
 * connections soon.
 */
export function exchangeTcp<Answer>(options: ExchangeOptions<Answer>): Promise<Reply<Answer>> {
  const { server, query } = options;
  return exchange(options, settle => {
    const frames = new MessageFrames(MAX_MESSAGE_BYTES);
    const socket = connect({ host: server.host, port: server.port, noDelay: true, autoSelectFamily: false });
    socket.on('data', chunk => {
      const [message] = frames.take(chunk) ?? [];
      if (message !== undefined) settle(readReply(message, options));
    });
    socket.on('error', error => settle(unreachable(error)));
    socket.on('end', () => settle({ kind: 'malformed', detail: 'the connection ended before the answer' }));
    socket.write(framed(query));
    return { dispose: () => socket.destroy() };
  });
}

function readReply<Answer>(message: Buffer, { read }: ExchangeOptions<Answer>): Reply<Answer> {
  const answer = read(message);
  if (answer === 'foreign') return { kind: 'malformed', detail: 'the answer belongs to another question' };
  if (answer === 'truncated') return { kind: 'malformed', detail: 'the answer is truncated although it came by TCP' };
  if (answer instanceof MalformedMessage) return { kind: 'malformed', detail: answer.message };
  return { kind: 'answer', answer };
}
